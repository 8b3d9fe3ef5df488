import { expect, test } from 'bun:test'
import { decodeBase64, decodedLength } from '../../src/media/base64'
import { documentType, nameFor } from '../../src/media/document-type'
import { safeFilename } from '../../src/media/filename'
import { sniff } from '../../src/media/sniff'

test.each([
  ['report.pdf', 'report.pdf'],
  ['../../etc/passwd', 'passwd'],
  ['C:\\Users\\me\\virus.exe', 'virus.exe'],
  ['a\0.png', 'a.png'],
  ['a\r\nContent-Type: text/html', 'html'],
  ['in\r\nvoice.pdf', 'invoice.pdf'],
  ['.htaccess', 'htaccess'],
  ['....', null],
  ['', null],
  ['/', null],
  ['a/', null],
  ['con.txt', '_con.txt'],
  ['Lpt1', '_Lpt1'],
  ['console.txt', 'console.txt'],
  ['what? "so": <b>|*.txt', 'what_ _so__ _b___.txt'],
  ['photo\u202egpj.exe', 'photogpj.exe'],
  ['Grüße 你好 👋.txt', 'Grüße 你好 👋.txt'],
  ['e\u0301.txt', 'é.txt'],
  ['name. . ', 'name'],
  ['lone \ud800 half', 'lone  half'],
])('%j becomes %j', (name, safe) => {
  expect(safeFilename(name)).toBe(safe)
})

test('long names are cut in front of their extension, between characters', () => {
  for (const name of [`${'a'.repeat(300)}.pdf`, `${'ü'.repeat(300)}.pdf`, `${'👋'.repeat(300)}.pdf`]) {
    const safe = safeFilename(name) ?? ''
    expect(Buffer.byteLength(safe)).toBeWithin(250, 256)
    expect(safe.endsWith('.pdf')).toBe(true)
    expect(safe.isWellFormed()).toBe(true)
  }
  expect(safeFilename('a'.repeat(300))).toBe('a'.repeat(255))
})

test.each([
  ['aGk=', 'hi'],
  ['aGk', 'hi'],
  ['aGVsbG8h', 'hello!'],
  ['data:image/png;base64,aGk=', 'hi'],
  ['data:;base64,aGk', 'hi'],
  ['data:text/plain;charset=utf-8;base64,aGk=', 'hi'],
  ['-_-_', '\xfb\xff\xbf'],
])('%s is base64', (text, plain) => {
  const decoded = decodeBase64(text)
  expect(decoded && Buffer.from(decoded.bytes).toString('latin1')).toBe(plain)
  expect(decodedLength(text)).toBe(plain.length)
})

test.each([
  ['', 'nothing'],
  ['aGk==', 'too much padding'],
  ['aGk=aGk=', 'padding in the middle'],
  ['a', 'one character over'],
  ['aGVsb', 'one character over'],
  ['aG k=', 'a space'],
  ['aGk=\n', 'a line end'],
  ['aG$k', 'a character of no alphabet'],
  ['a-+a', 'both alphabets'],
  ['aGl=', 'stray bits'],
  ['aGl', 'stray bits without padding'],
  ['data:image/png,aGk=', 'a data URL without base64'],
  ['data:image/png;base64,', 'an empty data URL'],
  ['ä===', 'no ASCII'],
])('%j is refused: %s', (text) => {
  expect(decodeBase64(text)).toBeNull()
})

test('a type is declared in a data URL, and only told', () => {
  expect(decodeBase64('data:Image/PNG;base64,aGk=')?.mimetype).toBe('image/png')
  expect(decodeBase64('aGk=')?.mimetype).toBeNull()
})

test('a claim makes the type of a document finer, never another', () => {
  const bytes = (text: string) => sniff(Buffer.from(text, 'latin1'))
  const table: [string, string | null, string | null, string][] = [
    ['a;b', 'text/csv', null, 'text/csv'],
    ['a;b', null, 'data.CSV', 'text/csv'],
    ['a;b', 'text/html', 'page.html', 'text/plain'],
    ['{"a":1}', 'application/json; charset=utf-8', null, 'application/json'],
    ['a;b', 'image/png', 'x.png', 'text/plain'],
    ['<html>', 'text/plain', 'x.txt', 'text/html'],
    ['%PDF-1.7', 'image/png', 'x.png', 'application/pdf'],
    [
      'PK\x03\x04',
      null,
      'letter.docx',
      'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    ],
    ['PK\x03\x04', 'application/x-msdownload', 'x.exe', 'application/zip'],
    ['\x01\x02\x00', 'application/vnd.acme.drawing', null, 'application/vnd.acme.drawing'],
    ['\x01\x02\x00', 'text/html', null, 'application/octet-stream'],
    ['\x01\x02\x00', 'image/jpeg', 'x.jpg', 'application/octet-stream'],
    ['\x01\x02\x00', 'application/javascript', null, 'application/octet-stream'],
    ['\x01\x02\x00', 'application/xhtml+xml', null, 'application/octet-stream'],
    ['\x01\x02\x00', 'not a type\r\nX: y', null, 'application/octet-stream'],
  ]
  for (const [text, declared, filename, type] of table)
    expect([text, declared, filename, documentType(bytes(text), declared, filename)]).toEqual([
      text,
      declared,
      filename,
      type,
    ])
  expect(nameFor('application/pdf')).toBe('file.pdf')
  expect(nameFor('application/octet-stream')).toBe('file')
})
