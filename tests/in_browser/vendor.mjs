// Bundle charts.mjs into the one file that the pages in the chat carry; `--check` compares it with the file that is kept.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const KEPT = join(import.meta.dirname, '../../src/crm_mcp/resources/ui/vendor/charts.js');
const read = (name, file) => readFileSync(join(import.meta.dirname, 'node_modules', name, file), 'utf8');

const { outputFiles, metafile } = await build({
  entryPoints: ['charts.mjs'],
  absWorkingDir: import.meta.dirname,
  bundle: true,
  minify: true,
  format: 'iife',
  globalName: 'd3',
  target: 'es2020',
  legalComments: 'none',
  metafile: true,
  write: false,
  logLevel: 'error',
});
const [{ inputs }] = Object.values(metafile.outputs);
const used = Object.keys(inputs).filter((path) => inputs[path].bytesInOutput > 0);
const names = [...new Set(used.map((path) => /node_modules\/([^/]+)/.exec(path)?.[1]).filter(Boolean))].sort();
const licenses = names.map((name) => read(name, 'LICENSE'));
const owners = [...new Set(licenses.flatMap((text) => text.match(/^Copyright .*$/gm)))].sort();
const terms = [...new Set(licenses.map((text) => text.replace(/^Copyright .*\n/gm, '').trim()))];
const head = names.map((name) => `${name} ${JSON.parse(read(name, 'package.json')).version}`).join(', ');
const made = `/*\n${[head, owners.join('\n'), ...terms].join('\n\n')}\n*/\n${outputFiles[0].text}`;
if (!process.argv.includes('--check')) writeFileSync(KEPT, made);
else if (readFileSync(KEPT, 'utf8') !== made) {
  process.stderr.write('vendor/charts.js is not what these packages make: run make charts\n');
  process.exit(1);
}
