/**
 * Lets the process have more requests under way than Bun's default of 256, so that webhook receivers that hang keep no
 * place from others. Bun reads the number before the first line of a program runs: the process replaces itself once, with
 * the number in its environment, under the same process id.
 */
const VARIABLE = 'BUN_CONFIG_MAX_HTTP_REQUESTS'
const WANTED = 4_096
/** Bun's own, where the variable is not set. */
const DEFAULT = 256

/** The words after the program's name that start it again; the compiled program has no script among them. */
const ownWords = (): string[] => [
  ...process.execArgv,
  ...(Bun.main.startsWith('/$bunfs') ? [] : [Bun.main]),
  ...process.argv.slice(2),
]

/** Does not return where it replaces the process; to be called before anything is opened. */
export function raiseRequestLimit(env: Readonly<Record<string, string | undefined>>): void {
  // Whoever has set it knows better. Windows cannot replace a process: there the default stays.
  if (env[VARIABLE] !== undefined || process.platform === 'win32' || !process.execve) return
  process.execve(process.execPath, [process.execPath, ...ownWords()], {
    ...process.env,
    [VARIABLE]: String(WANTED),
  })
}

/** Requests that this process can have under way at a time. */
export function requestLimit(env: Readonly<Record<string, string | undefined>>): number {
  const set = Number(env[VARIABLE])
  return Number.isInteger(set) && set > 0 ? set : DEFAULT
}
