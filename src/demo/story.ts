/** How the demo talks: one line per step with a tick, deliveries as they happen, and plain words when something fails. */
export type Story = {
  /** Says what is done, runs it, and ticks it off; a failure carries the step's name. */
  step<T>(says: string, run: () => Promise<T>): Promise<T>
  fact(text: string): void
  delivery(way: 'websocket' | 'webhook', event: string, says: string): void
  picture(text: string): void
  note(line: string): void
  done(text: string): void
  failed(error: unknown): void
  tryOut(lines: readonly (readonly [string, string])[]): void
}

/** Colours for people at a terminal; plain text in files and pipes, and where NO_COLOR asks for it. */
const coloured = process.stdout.isTTY && !process.env.NO_COLOR
const paint = (code: string) => (text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text)
const [green, red, cyan, magenta, grey, bold] = ['32', '31', '36', '35', '90', '1'].map(paint) as [
  Paint,
  Paint,
  Paint,
  Paint,
  Paint,
  Paint,
]
type Paint = (text: string) => string

/** Makes a story over `write`. */
export function createStory(write: (text: string) => void): Story {
  const line = (text: string) => write(`${text}\n`)
  let number = 0
  let current = 'The beginning'
  let told = false
  return {
    async step(text, run) {
      number += 1
      current = text
      line(`\n${bold(`${String(number).padStart(2)}. ${text} …`)}`)
      const result = await run()
      line(`    ${green('✓')} done`)
      return result
    },
    fact: (text) => line(`    ${text}`),
    delivery(way, event, text) {
      if (told) return
      line(
        `    ${(way === 'webhook' ? magenta : cyan)(way === 'webhook' ? '⇢ webhook  ' : '⇢ websocket')} ${event}${text ? grey(`  ${text}`) : ''}`,
      )
    },
    picture: (text) => line(`\n${text.trimEnd()}\n`),
    note: (text) => line(`    ${grey(text)}`),
    done(text) {
      told = true
      line(`\n${green(bold(`✓ ${text}`))}`)
    },
    failed: (error) =>
      line(
        `\n${red(bold(`✗ The demo failed at: ${current}`))}\n  ${error instanceof Error ? error.message : String(error)}`,
      ),
    tryOut(lines) {
      line(`\n${bold('The server stays up. Try it from another terminal; Ctrl-C ends it.')}`)
      for (const [what, how] of lines) line(`\n  ${grey(`${what}:`)}\n  ${how}`)
      line('')
    },
  }
}

/** The few words of an event that are worth a line. */
export function says(event: Record<string, unknown>): string {
  const { event: name, text, from, to, phoneNumber, reason, expiresAt } = event
  if (name === 'session.qr_generated')
    return `a QR code, current until ${String(expiresAt).slice(11, 19)} UTC`
  if (typeof text === 'string') return `${String(from)} → ${String(to)}: ${JSON.stringify(text)}`
  if (typeof phoneNumber === 'string') return phoneNumber
  return typeof reason === 'string' ? reason : ''
}
