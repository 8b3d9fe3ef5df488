/** Throws inputs at a target and remembers what it could not bear and what took longest. */
import { type Chance, chanceOf } from './random'

/** Something that takes hostile input. */
export type Target<Input> = {
  name: string
  /** Makes it ready. `take` throws when something is wrong that no input may bring about. */
  open(): Promise<{ make(chance: Chance): Input; take(input: Input): unknown; end(): Promise<void> }>
  /** The input for a report; short. */
  show(input: Input): string
}

export type Outcome = {
  name: string
  inputs: number
  /** Inputs that broke something, the first few of them. */
  crashes: { input: string; error: string }[]
  /** Processor time of the slowest input (ms), and which it was. */
  slowestMs: number
  slowest: string
  seconds: number
}

const SHOWN = 10
/** Slower than this is tried again: what is slow each time is the input's doing, and not that of a collection of garbage. */
const SLOW_MS = 20
const AGAIN = 5

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Runs so many inputs; the same seed gives the same ones. */
export async function fuzz<Input>(target: Target<Input>, inputs: number, seed: number): Promise<Outcome> {
  const { make, take, end } = await target.open()
  const chance = chanceOf(seed)
  const outcome: Outcome = { name: target.name, inputs, crashes: [], slowestMs: 0, slowest: '', seconds: 0 }
  const began = performance.now()
  const timed = async (input: Input): Promise<number> => {
    const before = cpuMs()
    await take(input)
    return cpuMs() - before
  }
  try {
    for (let done = 0; done < inputs; done += 1) {
      const input = make(chance)
      try {
        let ms = await timed(input)
        for (let again = 0; ms > SLOW_MS && again < AGAIN; again += 1) ms = Math.min(ms, await timed(input))
        if (ms > outcome.slowestMs) {
          outcome.slowestMs = ms
          outcome.slowest = target.show(input)
        }
      } catch (error) {
        if (outcome.crashes.length < SHOWN) {
          outcome.crashes.push({ input: target.show(input), error: String(error) })
        }
      }
    }
  } finally {
    await end()
  }
  outcome.seconds = (performance.now() - began) / 1000
  return outcome
}
