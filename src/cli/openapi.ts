/** `wabun openapi`: the document that the server serves under /docs/openapi.json. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '../app'
import { loadConfig } from '../config'
import { printWhole } from './print'

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
