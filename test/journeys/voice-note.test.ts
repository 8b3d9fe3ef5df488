/** A song becomes a voice note: what the recipient's phone opens is judged by decoders that had no part in making it. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { parseBuffer } from 'music-metadata'
import { OggOpusDecoder } from 'ogg-opus-decoder'
import { startApp, type TestApp } from '../harness/app'
import { loudThenSilent, mp3, tone, vorbis, wav } from '../media/sounds'

const OURS = '4915111111102'
const ADA = '4915122222202'
const SECONDS = 6

let app: TestApp
let session: string
beforeAll(async () => {
  app = await startApp()
  await app.phone(ADA, 'Ada')
  session = await app.linked(OURS)
})
afterAll(() => app?.stop())

const stereo = (rate: number) => [
  tone(rate, SECONDS, loudThenSilent),
  tone(rate, SECONDS, loudThenSilent, 330),
]

test.each([
  ['MP3', () => mp3(stereo(44_100), 44_100)],
  ['WAV', async () => wav(stereo(22_050), 22_050)],
  ['OGG with Vorbis', () => vorbis(stereo(44_100), 44_100)],
])('%s arrives as one channel of Opus, with its length and its shape', async (_, make) => {
  const sound = await make()
  const body = { sessionId: session, to: ADA, ptt: true, audioBase64: sound.toString('base64') }
  const { messageId } = await app.ok<{ messageId: string }>('POST', '/api/messages/send/audio', { body })
  const path = `/sandbox/phones/${ADA}/messages/${messageId}`
  let shown:
    | { content: { ptt: boolean; media: { mimetype: string; seconds: number; waveform: number[] } } }
    | undefined
  while (!shown) {
    const answer = await app.call<{ message: NonNullable<typeof shown> }>('GET', path)
    if (answer.status === 200) shown = answer.body.message
    else await Bun.sleep(10)
  }
  const { ptt, media } = shown.content
  expect(ptt).toBe(true)
  expect(media).toMatchObject({ mimetype: 'audio/ogg; codecs=opus', seconds: SECONDS })
  expect(media.waveform).toHaveLength(64)
  expect(Math.min(...media.waveform.slice(2, 30))).toBeGreaterThan(50)
  expect(Math.max(...media.waveform.slice(34))).toBeLessThan(5)

  const file = Buffer.from((await app.ok<{ base64: string }>('GET', `${path}/media`)).base64, 'base64')
  const { format } = await parseBuffer(file)
  expect(format).toMatchObject({ container: 'Ogg', codec: 'Opus', numberOfChannels: 1 })
  expect(format.duration).toBeCloseTo(SECONDS, 1)
  const decoder = new OggOpusDecoder({ forceStereo: false })
  await decoder.ready
  const { channelData, samplesDecoded, errors } = await decoder.decodeFile(file)
  decoder.free()
  expect(errors).toEqual([])
  expect(channelData).toHaveLength(1)
  expect(samplesDecoded / 48_000).toBeCloseTo(SECONDS, 1)
  const loudness = (from: number, to: number) => {
    const part = channelData[0]?.subarray(from * 48_000, to * 48_000) ?? new Float32Array()
    return Math.sqrt(part.reduce((sum, sample) => sum + sample * sample, 0) / part.length)
  }
  expect(loudness(0.5, 2.5)).toBeGreaterThan(0.1)
  expect(loudness(3.5, 5.5)).toBeLessThan(0.01)
})
