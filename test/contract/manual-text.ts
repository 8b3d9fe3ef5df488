/** Reads requests, printed answers and scripts out of the manual's own text, so that the text is what is tested. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const TEXT = readFileSync(join(import.meta.dir, 'sessions-manual.md'), 'utf8')

export type Fence = {
  /** Headings above it, outermost first. */
  under: string[]
  language: string
  text: string
}

/** All code blocks, in order. */
export const FENCES: Fence[] = readFences(TEXT)

function readFences(text: string): Fence[] {
  const fences: Fence[] = []
  let under: string[] = []
  let open: { language: string; lines: string[] } | null = null
  for (const line of text.split('\n')) {
    const fence = /^```(\w*)\s*$/.exec(line)
    if (open && fence) {
      fences.push({ under, language: open.language, text: open.lines.join('\n') })
      open = null
    } else if (open) open.lines.push(line)
    else if (fence) open = { language: fence[1] ?? '', lines: [] }
    else {
      const heading = /^(#+) (.*)$/.exec(line)
      if (heading) under = [...under.slice(0, (heading[1] ?? '').length - 1), heading[2] ?? '']
    }
  }
  return fences
}

/** Blocks under a heading. */
export const under = (heading: string, language?: string): Fence[] =>
  FENCES.filter(
    (fence) => fence.under.includes(heading) && (language === undefined || fence.language === language),
  )

/** The one block that is meant; fails when the manual has changed. */
export function only(heading: string, language: string, at = 0): string {
  const found = under(heading, language)[at]
  if (!found) throw new Error(`The manual has no ${language} block ${at} under "${heading}"`)
  return found.text
}

export type CurlLine = {
  method: string
  url: string
  headers: Record<string, string>
  body: string | null
  /** What the output is piped into. */
  pipe: string[]
}

/** Every `curl` of a shell block. */
export function curlLines(shell: string): CurlLine[] {
  return splitCommands(shell.replace(/\\\n/g, ' '))
    .map((command) => splitPipe(command))
    .filter(([first = '']) => /^curl\s/.test(first.trim()))
    .map(([first = '', ...pipe]) => ({ ...readCurl(words(first)), pipe: pipe.map((part) => part.trim()) }))
}

/** Lines, except where a quote is open. */
function splitCommands(shell: string): string[] {
  const commands: string[] = []
  let current = ''
  let quoted = false
  for (const char of shell) {
    if (char === "'") quoted = !quoted
    if (char === '\n' && !quoted) {
      commands.push(current)
      current = ''
    } else current += char
  }
  return [...commands, current]
    .map((command) => command.trim())
    .filter((command) => command !== '' && !command.startsWith('#'))
}

function splitPipe(command: string): string[] {
  const parts: string[] = []
  let current = ''
  let quote: string | null = null
  for (const char of command) {
    if (quote === null && (char === "'" || char === '"')) quote = char
    else if (char === quote) quote = null
    if (char === '|' && quote === null) {
      parts.push(current)
      current = ''
    } else current += char
  }
  return [...parts, current]
}

/** Words as a POSIX shell splits them, for what the manual uses. */
const words = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')

function readCurl(all: string[]): Omit<CurlLine, 'pipe'> {
  const found: Omit<CurlLine, 'pipe'> = { method: 'GET', url: '', headers: {}, body: null }
  for (let at = 1; at < all.length; at += 1) {
    const word = all[at] ?? ''
    const next = all[at + 1] ?? ''
    if (word === '-X') found.method = next
    else if (word === '-H') {
      const [name = '', ...value] = next.split(':')
      found.headers[name.trim()] = value.join(':').trim()
    } else if (word === '-d') found.body = next
    else {
      if (!word.startsWith('-')) found.url = word
      continue
    }
    at += 1
  }
  return found
}

/** A printed JSON block; `//` comments in it are the manual's own. */
export const printed = (text: string): unknown =>
  JSON.parse(text.replace(/\s\/\/.*$/gm, '').replace(/,(\s*[}\]])/g, '$1'))
