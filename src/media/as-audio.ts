/** Sounds: sent as they are, or made voice notes while they stream to disk. */
import type { AudioAsk } from '../domain/content-media'
import type { Bytes, KeptFile } from '../domain/media'
import { isoFacts } from './iso-media'
import { inMemory } from './range-reader'
import { noConverter, wrongType } from './refusals'
import { isPolyglot } from './sniff'
import { soundSeconds } from './sound-length'
import { capped, collected, once } from './streams'
import { isVoiceAlready, isVoiceSource, VOICE_MIMETYPE } from './voice'
import { type Material, orRemove, type Recipe, type Workshop } from './workshop'

/** What phones play. */
const ACCEPTED = [
  'audio/mpeg',
  'audio/mp4',
  'audio/aac',
  'audio/amr',
  'audio/ogg; codecs=opus',
  'audio/ogg; codecs=vorbis',
  'audio/wav',
  'audio/flac',
]
const WITHOUT_HELP = ['audio/mpeg', 'audio/wav', 'audio/ogg']

export const audioRecipe: Recipe<AudioAsk> = (shop, material, ask) => {
  if (isPolyglot(material.head)) throw wrongType('The file holds more than a sound', ACCEPTED)
  return ask.ptt === true ? asVoice(shop, material) : asItIs(shop, material)
}

async function asItIs(shop: Workshop, material: Material) {
  const maxBytes = shop.caps.audio
  const container = ['video/mp4', 'video/3gpp'].includes(material.sniffed.mimetype)
  if (!ACCEPTED.includes(material.sniffed.mimetype) && !container)
    throw wrongType(`This is ${material.sniffed.mimetype}`, ACCEPTED)
  const file = await collected(material.bytes, maxBytes)
  // Recorders also write sound without pictures under the names of films.
  if (container) {
    const facts = await isoFacts(inMemory(file))
    if (!facts?.hasSound || facts.hasVideo)
      throw wrongType('The file is a film; send it as a video', ACCEPTED)
  }
  const mimetype = container ? 'audio/mp4' : material.sniffed.mimetype
  const seconds = await soundSeconds(file, mimetype)
  const kept = material.upload ?? (await shop.keep(material, once(file), { mimetype, maxBytes }))
  return {
    fileId: kept.id,
    media: { mimetype, size: kept.size, ...(seconds === null ? {} : { seconds }) },
    thumbnail: null,
    animated: false,
  }
}

async function asVoice(shop: Workshop, material: Material) {
  const { mimetype, family } = material.sniffed
  const { caps, voice, ffmpeg } = shop
  let sound = { bytes: material.bytes, mimetype }
  if (!isVoiceSource(mimetype)) {
    if (family !== 'audio' && family !== 'video') throw wrongType(`This is ${mimetype}`, ACCEPTED)
    if (!ffmpeg) throw noConverter(`${mimetype} cannot be made a voice note here`, WITHOUT_HELP)
    sound = { bytes: ffmpeg.wav(sound, caps.voiceSeconds), mimetype: 'audio/wav' }
  }
  const already = mimetype === VOICE_MIMETYPE && isVoiceAlready(material.head)
  const note = voice.note(sound.bytes, sound.mimetype, already, caps.voiceSeconds)
  const kept = await keptVoice(shop, material, already, note.bytes)
  return orRemove(shop, material, kept, async () => ({
    fileId: kept.id,
    media: { mimetype: VOICE_MIMETYPE, size: kept.size, ...note.facts() },
    thumbnail: null,
    animated: false,
  }))
}

/** An upload that is a voice note already is only listened to. */
async function keptVoice(
  shop: Workshop,
  material: Material,
  already: boolean,
  bytes: Bytes,
): Promise<KeptFile> {
  const maxBytes = shop.caps.audio
  if (!already || !material.upload) return shop.keep(material, bytes, { mimetype: VOICE_MIMETYPE, maxBytes })
  for await (const _ of capped(bytes, maxBytes));
  return material.upload
}
