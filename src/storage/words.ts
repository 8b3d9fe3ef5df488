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

/** The words somebody looks for, all of which must be there. */
export function soughtIn(text: string): string[] {
  const words = new Set<string>()
  for (const { text: run, spaced } of runsOf(text)) {
    const characters = [...run]
    const parts = spaced ? [cut(run)] : characters.length === 1 ? characters : pairsOf(characters)
    for (const word of parts) words.add(word)
  }
  return [...words]
}

/** Whether a text holds all of them. */
export function holds(text: string, sought: readonly string[]): boolean {
  const words = wordsIn(text)
  return sought.every((word) => words.has(word))
}
