import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { asFileId } from '../../src/domain/media'
import { createUploadLinks } from '../../src/http/upload-links'

const ID = asFileId('0123456789abcdef0123456789abcdef')
const links = createUploadLinks(new Uint8Array(32).fill(1))

test('a link leads back to its file, under any host', () => {
  const path = links.pathOf(ID)
  expect(path).toMatch(/^\/media\/[0-9a-f]{32}\.[\w-]{43}$/)
  expect(links.fileOf(path.slice('/media/'.length))).toBe(ID)
  for (const host of ['http://127.0.0.1:3000', 'https://wa.example.com', 'http://[::1]']) {
    expect(links.fileOfUrl(`${host}${path}`)).toBe(ID)
  }
})

test('nobody can make one', () => {
  const path = links.pathOf(ID)
  const forged = [
    `/media/${ID}`,
    `/media/${ID}.${'A'.repeat(43)}`,
    `/media/f${path.slice('/media/0'.length)}`,
    `${path}A`,
    `${path}/`,
    path.toUpperCase(),
    `/x${path}`,
    createUploadLinks(randomBytes(32)).pathOf(ID),
  ]
  for (const one of forged)
    expect({ one, file: links.fileOfUrl(`http://h${one}`) }).toEqual({ one, file: null })
  expect(links.fileOfUrl('no url')).toBeNull()
})
