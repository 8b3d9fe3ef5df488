/** Builds the single program for this machine: `bun build/binary.ts [path]`, by default `dist/wabun`. */
import { mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const ROOT = join(import.meta.dir, '..')

/**
 * Names are not shortened: Elysia reads the source of handlers to find out what they use.
 * A `bunfig.toml` beside the program is not read: a `preload` in it would run code.
 */
export const BUILD_FLAGS = [
  '--compile',
  '--minify-syntax',
  '--minify-whitespace',
  '--bytecode',
  '--format=esm',
  '--sourcemap',
  '--no-compile-autoload-bunfig',
  // Optional peers of Baileys, native or unused; it copes with their absence.
  ...['sharp', 'jimp', 'audio-decode', 'link-preview-js'].map((name) => `--external=${name}`),
] as const

/** Threads are programs of their own inside the one file, found by their path below the root. */
export const THREADS = [join(ROOT, 'src', 'media', 'voice-worker.ts')]

/** Compiles `src/main.ts` to `file`; rejects with the compiler's output. */
export async function buildBinary(file: string, main = join(ROOT, 'src', 'main.ts')): Promise<void> {
  mkdirSync(dirname(file), { recursive: true })
  const compiler = Bun.spawn(
    [process.execPath, 'build', ...BUILD_FLAGS, `--root=${ROOT}`, main, ...THREADS, '--outfile', file],
    { cwd: ROOT, stdout: 'pipe', stderr: 'pipe' },
  )
  const [code, out, err] = await Promise.all([
    compiler.exited,
    new Response(compiler.stdout).text(),
    new Response(compiler.stderr).text(),
  ])
  if (code !== 0) throw new Error(`The build has failed:\n${out}${err}`)
}

if (import.meta.main) {
  const file = resolve(process.argv[2] ?? join(ROOT, 'dist', 'wabun'))
  await buildBinary(file)
  process.stdout.write(`${file}  ${(Bun.file(file).size / 2 ** 20).toFixed(1)} MiB\n`)
}
