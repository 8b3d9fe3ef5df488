/** The command line: a command and flags that mirror the environment. */

export type CommandLine = { command: string | null; flags: Record<string, string | true>; rest: string[] }

/** Splits `serve --port 0 --sandbox --log-level=debug`; a flag takes the next word unless that is a flag too. */
export function parseArguments(words: readonly string[], switches: ReadonlySet<string>): CommandLine {
  const flags: Record<string, string | true> = {}
  const rest: string[] = []
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (!word.startsWith('--')) {
      rest.push(word)
      continue
    }
    const equals = word.indexOf('=')
    if (equals !== -1) {
      flags[word.slice(0, equals)] = word.slice(equals + 1)
      continue
    }
    const next = words[at + 1]
    const takesNext =
      next !== undefined && !next.startsWith('-') && !(switches.has(word) && !/^(?:true|false)$/.test(next))
    flags[word] = takesNext ? next : true
    if (takesNext) at += 1
  }
  const [command = null, ...more] = rest
  return { command, flags, rest: more }
}
