/**
 * Stages files in a process of its own, whose memory nobody else uses; prints its growth in MiB.
 * Arguments: address, sort of message, most bytes.
 */
import type { FileAsk } from '../../src/domain/content-media'
import { film } from './films'
import { mediaRig, OWNER } from './rig'
import { tone, wav } from './sounds'

const [address = '', sort = '', most = '0'] = process.argv.slice(2)
const rig = await mediaRig({
  caps: { video: Number(most), document: Number(most), voiceSource: Number(most), upload: Number(most) },
})
const stage = (ask: object) => rig.desk.stage(OWNER, ask as FileAsk)
const ASKS: Record<string, () => Promise<unknown>> = {
  document: () => stage({ type: 'document', documentUrl: address }),
  film: () => stage({ type: 'video', videoUrl: address }),
  sound: () => stage({ type: 'audio', ptt: true, audioUrl: address }),
  async upload() {
    const { body } = await fetch(address)
    if (!body) throw new Error('There is no body')
    await rig.desk.upload(OWNER.tenantId, body, 'large')
  },
}

// What is loaded at the first use is no file's doing.
const note = wav([tone(48_000, 2)], 48_000)
await stage({ type: 'audio', ptt: true, audioBase64: note.toString('base64') })
await stage({ type: 'video', videoBase64: film({ data: 2_000_000 }).toString('base64') })

Bun.gc(true)
const before = process.memoryUsage.rss()
let peak = before
const watch = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss())
}, 5)
await ASKS[sort]?.()
clearInterval(watch)
process.stdout.write(String(Math.round((Math.max(peak, process.memoryUsage.rss()) - before) / 2 ** 20)))
await rig.clear()
process.exit(0)
