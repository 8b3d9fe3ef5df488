import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { createLog } from '../../../src/lib/log'
import {
  surviveRejections,
  withoutNumbers,
} from '../../../src/whatsapp/baileys/upstream/unhandled-rejections'

const SCRIPT = join(import.meta.dir, '..', 'support', 'stock-corrupt-frame.ts')

async function run(...args: string[]) {
  const child = Bun.spawn([process.execPath, SCRIPT, ...args], { stdout: 'pipe', stderr: 'pipe' })
  const [code, out] = await Promise.all([child.exited, new Response(child.stdout).text()])
  return { code, out }
}

describe('a promise that fails unnoticed', () => {
  test('upstream: one corrupt frame ends the process', async () => {
    const { code, out } = await run()
    expect(code).toBe(1)
    expect(out).not.toContain('survived')
  })

  test('with the guard the same process serves on', async () => {
    expect(await run('--guarded')).toEqual({ code: 0, out: expect.stringMatching(/survived [1-9]/) })
  })

  test('is logged without numbers, and counted', () => {
    const lines: string[] = []
    const log = createLog({
      level: 'error',
      format: 'json',
      write: (line) => lines.push(line),
      now: Date.now,
    })
    const guard = surviveRejections(log)
    const reason = new Error('no session for 491700000001@s.whatsapp.net')
    process.emit('unhandledRejection', reason, Promise.resolve())
    expect(guard.survived).toBe(1)
    guard.undo()
    expect(lines.join()).toContain('no session for #@s.whatsapp.net')
  })

  test('what could be a number or a key is blotted out', () => {
    expect(withoutNumbers('1234567@lid and 12')).toBe('#@lid and 12')
    expect(withoutNumbers(Buffer.alloc(40, 7).toString('base64'))).toBe('…')
    expect(withoutNumbers('x '.repeat(400)).length).toBe(300)
  })
})
