// Runs splitbrain's program for WebAssembly: node wasi.mjs PROGRAM ARGUMENT…
// It sees the whole file system, so paths among the arguments must be absolute.
import { readFile } from 'node:fs/promises';
import { WASI } from 'node:wasi';

const [program, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: 'preview1', args: ['splitbrain', ...args], preopens: { '/': '/' } });
const { instance } = await WebAssembly.instantiate(await readFile(program), wasi.getImportObject());
process.exitCode = wasi.start(instance);
