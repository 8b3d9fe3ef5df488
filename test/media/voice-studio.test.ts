/** Voice notes from the other thread: the same as from this one, and nothing hangs or stays when it goes wrong. */
import { afterEach, expect, test } from 'bun:test'
import { systemClock } from '../../src/lib/clock'
import { createBreath, UnreadableSound } from '../../src/media/sound'
import { voiceNote } from '../../src/media/voice'
import { createVoiceStudio, type VoiceStudio } from '../../src/media/voice-studio'
import { collect, inPieces, opus, tone, wav } from './sounds'

let studio: VoiceStudio
afterEach(() => studio.stop())

const file = wav([tone(16_000, 3)], 16_000)
/** Serial numbers and sums differ from note to note; packets do not. */
const packetsOf = (note: Buffer): string => note.toString('latin1').replace(/OggS[\s\S]{23}/g, '')

test('makes what is made here', async () => {
  studio = createVoiceStudio({ clock: systemClock })
  const there = studio.note(inPieces(file), 'audio/wav', false, 60)
  const breath = createBreath(() => performance.now())
  const here = voiceNote(inPieces(file), 'audio/wav', false, { maxSeconds: 60, breath })
  expect(packetsOf(await collect(there.bytes))).toBe(packetsOf(await collect(here.bytes)))
  expect(there.facts()).toEqual(here.facts())
  const ready = await opus([tone(48_000, 1)])
  const kept = studio.note(inPieces(ready, 999), 'audio/ogg; codecs=opus', true, 60)
  expect(() => kept.facts()).toThrow()
  expect((await collect(kept.bytes)).equals(ready)).toBe(true)
  expect(kept.facts().seconds).toBe(1)
})

test('many at the same time do not get into each other’s way', async () => {
  studio = createVoiceStudio({ clock: systemClock })
  const lengths = Array.from({ length: 8 }, (_, index) => index + 1)
  const seconds = await Promise.all(
    lengths.map(async (length) => {
      const note = studio.note(inPieces(wav([tone(8000, length)], 8000), 1000), 'audio/wav', false, 60)
      await collect(note.bytes)
      return note.facts().seconds
    }),
  )
  expect(seconds).toEqual(lengths)
})

test('a bad sound is the sound’s fault, a bad source its own; the next note is made', async () => {
  studio = createVoiceStudio({ clock: systemClock })
  const of = (bytes: AsyncIterable<Uint8Array>, mimetype = 'audio/wav') =>
    collect(studio.note(bytes, mimetype, false, 60).bytes)
  await expect(of(inPieces(Buffer.from('no sound')))).rejects.toBeInstanceOf(UnreadableSound)
  await expect(of(inPieces(file), 'audio/ogg; codecs=opus')).rejects.toBeInstanceOf(UnreadableSound)
  let closed = false
  async function* broken(): AsyncGenerator<Uint8Array> {
    try {
      yield Uint8Array.from(file.subarray(0, 20_000))
      throw new Error('the line is dead')
    } finally {
      closed = true
    }
  }
  await expect(of(broken())).rejects.toThrow('the line is dead')
  expect(closed).toBe(true)
  expect((await of(inPieces(file))).length).toBeGreaterThan(1000)
})

test('who leaves early lets go of the source', async () => {
  studio = createVoiceStudio({ clock: systemClock })
  let closed = false
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      yield wav([tone(8000, 1)], 8000, 's16', { unknownLength: true })
      for (;;) yield new Uint8Array(16_000)
    } finally {
      closed = true
    }
  }
  let pieces = 0
  for await (const _ of studio.note(endless(), 'audio/wav', false, 7200).bytes) {
    pieces += 1
    // The headers come before the source is asked for anything.
    if (pieces > 3) break
  }
  expect(closed).toBe(true)
})

test('the end of the studio is the end of its notes; the next one starts it again', async () => {
  studio = createVoiceStudio({ clock: systemClock })
  const pieces = studio.note(inPieces(file, 500), 'audio/wav', false, 60).bytes[Symbol.asyncIterator]()
  await pieces.next()
  await studio.stop()
  await expect(
    (async () => {
      while (!(await pieces.next()).done);
    })(),
  ).rejects.toThrow('The program ends')
  await studio.stop()
  expect((await collect(studio.note(inPieces(file), 'audio/wav', false, 60).bytes)).length).toBeGreaterThan(
    1000,
  )
})

test('the thread ends when there was nothing to do for a while, and not while there is', async () => {
  const timers: { ms: number; task: () => void; armed: boolean }[] = []
  studio = createVoiceStudio({
    clock: {
      ...systemClock,
      after(ms, task) {
        const timer = { ms, task, armed: true }
        timers.push(timer)
        return () => {
          timer.armed = false
        }
      },
    },
  })
  const make = () => collect(studio.note(inPieces(file), 'audio/wav', false, 60).bytes)
  await Promise.all([make(), make()])
  expect(timers.map(({ armed }) => armed)).toEqual([true])
  const second = make()
  expect(timers[0]?.armed).toBe(false)
  await second
  timers[1]?.task()
  expect((await make()).length).toBeGreaterThan(1000)
  expect(timers).toHaveLength(3)
})
