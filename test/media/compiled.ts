/** A program of its own that makes voice notes and pictures of the files it is given, to be compiled like the product. */
import { systemClock } from '../../src/lib/clock'
import { STICKER_SIDE, stickerOf } from '../../src/media/pictures'
import { sniff } from '../../src/media/sniff'
import { createVoiceStudio } from '../../src/media/voice-studio'

const studio = createVoiceStudio({ clock: systemClock })

for (const path of process.argv.slice(2)) {
  const file = await Bun.file(path).bytes()
  const { mimetype, family } = sniff(file)
  if (family === 'image') {
    const sticker = await stickerOf(file, 1_000_000)
    process.stdout.write(`${sniff(sticker).mimetype} ${STICKER_SIDE}\n`)
    continue
  }
  const note = studio.note(
    (async function* () {
      yield file
    })(),
    mimetype,
    false,
    60,
  )
  let size = 0
  for await (const piece of note.bytes) size += piece.length
  process.stdout.write(`${mimetype} ${note.facts().seconds} ${note.facts().waveform.length} ${size > 1000}\n`)
}
await studio.stop()
