/**
 * The words of a text as people look for them: in any script, whatever their case and accents.
 *
 * Scripts that put no spaces between words (Chinese, Japanese, Thai, …) are taken character by character and in pairs.
 */

/** Longer runs are links, hashes and the like; their beginning does. */
const LONGEST = 64

const RUN = /[\p{L}\p{N}\p{M}]+/gu
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+/gu
/** Accents, and the points of Hebrew and Arabic that are mostly left out. */
const MARKS = /[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]/g
const ALIKE: Record<string, string> = {
  ß: 'ss',
  ø: 'o',
  đ: 'd',
  ł: 'l',
  æ: 'ae',
  œ: 'oe',
  ı: 'i',
  ς: 'σ',
}
const ALIKE_LETTERS = /[ßøđłæœıς]/g

/** Lower case without accents. */
const fold = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(MARKS, '')
    .toLowerCase()
    .replace(MARKS, '')
    .replace(ALIKE_LETTERS, (letter) => ALIKE[letter] ?? letter)
    .normalize('NFC')

export type Word = { text: string; spaced: boolean }

/** The words of a text, each run of letters and digits one; unspaced runs apart. */
function runsOf(text: string): Word[] {
  const found: Word[] = []
  for (const [run] of fold(text).matchAll(RUN)) {
    let at = 0
    for (const match of run.matchAll(UNSPACED)) {
      if (match.index > at) found.push({ text: run.slice(at, match.index), spaced: true })
      found.push({ text: match[0], spaced: false })
      at = match.index + match[0].length
    }
    if (at < run.length) found.push({ text: run.slice(at), spaced: true })
  }
  return found
}

const cut = (word: string): string => {
  const characters = [...word]
  return characters.length <= LONGEST ? word : characters.slice(0, LONGEST).join('')
}

/** Single characters and neighbouring pairs. */
const pairsOf = (characters: readonly string[]): string[] =>
  characters.slice(1).map((character, index) => `${characters[index] ?? ''}${character}`)

/** Every word under which a text is found. */
export function wordsIn(text: string): Set<string> {
  const words = new Set<string>()
  for (const { text: run, spaced } of runsOf(text)) {
    if (spaced) {
      words.add(cut(run))
      continue
    }
    const characters = [...run]
    for (const word of [...characters, ...pairsOf(characters)]) words.add(word)
  }
  return words
}

/** Beginnings of this many letters are found as well; the whole word always is. */
export const PREFIXES = [3, 4, 5, 6] as const

/** The beginnings by which a word is found before it has been typed to its end. */
export function beginningsOf(word: string): string[] {
  const characters = [...word]
  return PREFIXES.filter((length) => length < characters.length).map((length) =>
    characters.slice(0, length).join(''),
  )
}

/** What somebody looks for: all words, and the last one also as a beginning, when it is of a length that is kept. */
export type Sought = { words: string[]; beginning: string | null }

export function soughtIn(text: string): Sought {
  const runs = runsOf(text)
  const words = new Set<string>()
  for (const { text: run, spaced } of runs) {
    const characters = [...run]
    const parts = spaced ? [cut(run)] : characters.length === 1 ? characters : pairsOf(characters)
    for (const word of parts) words.add(word)
  }
  const last = runs.at(-1)
  // A space behind the last word says that it ends there.
  const open = last?.spaced === true && /[\p{L}\p{N}\p{M}]$/u.test(text)
  const length = last ? [...last.text].length : 0
  const beginning = open && (PREFIXES as readonly number[]).includes(length) ? (last?.text ?? null) : null
  return { words: [...words], beginning }
}

/** Whether a text holds what is sought. */
export function holds(text: string, sought: Sought): boolean {
  const words = wordsIn(text)
  return sought.words.every(
    (word) =>
      words.has(word) || (word === sought.beginning && [...words].some((one) => one.startsWith(word))),
  )
}
