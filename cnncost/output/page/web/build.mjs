// Bundles main.js and what it uses into ../page.js, with the licences of the libraries in front.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const { metafile, outputFiles } = await build({
  entryPoints: ["main.js"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  write: false,
});
const used = new Set(
  Object.values(metafile.outputs)
    .flatMap((output) => Object.entries(output.inputs))
    .filter(([, { bytesInOutput }]) => bytesInOutput)
    .map(([path]) => path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1])
    .filter(Boolean),
);
const texts = new Map(); // packages by their licence's text: many share one
for (const name of [...used].sort()) {
  const folder = `node_modules/${name}`;
  const { version, license, author } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((each) => /^licen[cs]e(\.md|\.txt)?$/i.test(each));
  const text = file ? readFileSync(`${folder}/${file}`, "utf8").trim() : `${license}, ${author?.name ?? author ?? ""}`;
  texts.set(text, [...(texts.get(text) ?? []), `${name} ${version}`]);
}
const notices = [...texts].map(([text, names]) => `${names.join(", ")}\n\n${text}`).join("\n\n----\n\n");
writeFileSync(
  "../page.js",
  `/*! The script of cnncost's pages, bundled with:\n\n${notices.replaceAll("*/", "* /")}\n*/\n${outputFiles[0].text}`,
);
