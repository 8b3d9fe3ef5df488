import { expect, test } from 'bun:test'
import { createCipheriv } from 'node:crypto'
import { release } from '../../src/lib/release'

test('bytes of their own, and results of ciphers, are given back', () => {
  const own = new Uint8Array(100)
  const cipher = createCipheriv('aes-256-gcm', Buffer.alloc(32), Buffer.alloc(12))
  const result = cipher.update(Buffer.alloc(70_000))
  for (const bytes of [own, result]) {
    expect(bytes.length).toBeGreaterThan(0)
    release(bytes)
    expect(bytes.length).toBe(0)
  }
})

test('bytes inside others stay, and so do the others', () => {
  const outer = new Uint8Array(100_000).fill(7)
  for (const bytes of [outer.subarray(0, 50_000), outer.subarray(10), outer.subarray(99_000)]) {
    const before = Buffer.from(bytes)
    release(bytes)
    expect(Buffer.from(bytes)).toEqual(before)
  }
  expect(outer.length).toBe(100_000)
})
