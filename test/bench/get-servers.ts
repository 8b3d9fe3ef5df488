/**
 * The yardsticks of the GET bench, each a process that answers the same JSON: Bun's own server (`bun get-servers.ts <body>`),
 * and Express on Node, installed beside the project because nothing but this bench wants it.
 */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Child, startChild } from '../harness/process'

export const EXPRESS = 'express@5.1.0'

const EXPRESS_SERVER = `
const express = require('express')
const body = JSON.parse(process.argv[2])
const app = express()
app.get('/api/sessions/:id', (request, response) => response.json(body))
const server = app.listen(0, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + server.address().port))
`

/** Answers with nothing but the body. */
export const startRaw = (body: unknown): Promise<Child> =>
  startChild({
    name: 'Bun.serve',
    args: ['test/bench/get-servers.ts', JSON.stringify(body)],
    env: {},
  })

/** Null, with the reason said, on a machine without Node or without Express in reach. */
export async function startExpress(body: unknown, say: (line: string) => void): Promise<Child | null> {
  const node = Bun.which('node')
  if (!node) {
    say('There is no node here: Express is not measured')
    return null
  }
  const folder = mkdtempSync(join(tmpdir(), 'wabun-express-'))
  writeFileSync(join(folder, 'package.json'), '{"private":true}')
  writeFileSync(join(folder, 'server.cjs'), EXPRESS_SERVER)
  const added = Bun.spawnSync([process.execPath, 'add', '--exact', '--ignore-scripts', EXPRESS], {
    cwd: folder,
  })
  if (!added.success) {
    say(`${EXPRESS} cannot be installed: it is not measured`)
    return null
  }
  return startChild({
    name: 'Express on Node',
    program: node,
    args: [join(folder, 'server.cjs'), JSON.stringify(body)],
    env: { NODE_ENV: 'production' },
    cwd: folder,
  })
}

if (import.meta.main) {
  const body = JSON.parse(process.argv[2] ?? 'null')
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => Response.json(body),
  })
  console.log(`listening on http://127.0.0.1:${server.port}`)
}
