/** `wabun openapi`: the document that the server serves under /docs/openapi.json. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '../app'
import { loadConfig } from '../config'

/** Prints the document of a server that is put together in a directory of its own and never started. */
export async function printOpenApi(): Promise<number> {
  const dataDir = mkdtempSync(join(tmpdir(), 'wabun-openapi-'))
  try {
    const app = await createApp(loadConfig({ env: {}, flags: { '--data-dir': dataDir } }))
    await app.stop()
    await printWhole(`${JSON.stringify(app.openApi(), null, 2)}\n`)
    return 0
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** Resolves when all of it has left: a pipe takes a piece at a time, and the process ends after this. */
const printWhole = (text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()))
  })
