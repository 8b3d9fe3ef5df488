/**
 * What only ffmpeg can do, when it is installed: sounds of every kind to voice notes' samples, films' first pictures,
 * GIFs to films. It works on files in a private directory that is always removed; it is given arguments, never a shell,
 * and may read and write nothing but these files.
 */
import { chmod, mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bytes } from '../domain/media'
import type { Clock } from '../lib/clock'

/** A file and what its bytes say that it is. */
export type Convertible = { bytes: Bytes; mimetype: string }

/** Thrown when ffmpeg does not make what was asked: the file is damaged, takes too long or becomes too large. */
export class ConversionFailed extends Error {
  constructor(says: string) {
    super(says)
    this.name = 'ConversionFailed'
  }
}

export interface Ffmpeg {
  /** Any sound as WAV of 16 bits, one channel, 48 kHz, cut at `maxSeconds` + 1. */
  wav(source: Convertible, maxSeconds: number): Bytes
  /** A picture from near the beginning of a film, as JPEG. */
  poster(source: Convertible): Promise<Uint8Array>
  /** An animated GIF as MP4 without sound, at most `maxBytes`. */
  film(source: Convertible, maxBytes: number): Bytes
  /** Moving pictures as an animated WebP of 512 × 512, at most ten seconds. */
  sticker(source: Convertible, maxBytes: number): Bytes
}

export type FfmpegParts = {
  /** The program's path. */
  program: string
  /** Where private directories are made. */
  temporary: string
  clock: Clock
  /** Longest run (ms). */
  timeoutMs: number
  /** Longest input (bytes). */
  maxInputBytes: number
}

/** The program on PATH, or null. */
export const findFfmpeg = (path: string | undefined): string | null =>
  Bun.which('ffmpeg', path === undefined ? {} : { PATH: path })

/** How private directories are called. */
const PREFIX = 'convert-'

/** Removes what a crash has left of conversions; call it before the first one. */
export async function clearConversions(temporary: string): Promise<void> {
  const names = (await readdir(temporary)).filter((name) => name.startsWith(PREFIX))
  await Promise.all(names.map((name) => rm(join(temporary, name), { recursive: true, force: true })))
}

/** Longest poster: far above a frame of 4K as JPEG. */
const MAX_POSTER = 8 * 2 ** 20

export function createFfmpeg(parts: FfmpegParts): Ffmpeg {
  /** Converts in a private directory and gives what the program writes to its standard output. */
  async function* piped(
    source: Convertible,
    args: readonly string[],
    maxBytes: number,
  ): AsyncGenerator<Uint8Array> {
    const input = inputOf(source.mimetype)
    const folder = await prepared(source.bytes)
    try {
      const child = start(folder, [...input, ...args, 'pipe:1'], 'pipe')
      try {
        let size = 0
        for await (const piece of child.stdout ?? []) {
          size += piece.length
          if (size > maxBytes) throw new ConversionFailed('What the conversion makes is too large')
          yield piece
        }
        await child.success(size)
      } finally {
        await child.end()
      }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  /** The same for formats whose beginning is written last. */
  async function* filed(
    source: Convertible,
    args: readonly string[],
    maxBytes: number,
  ): AsyncGenerator<Uint8Array> {
    const input = inputOf(source.mimetype)
    const folder = await prepared(source.bytes)
    try {
      const made = Bun.file(join(folder, 'output'))
      // One byte more than allowed, so that what was cut off is not taken for whole.
      const child = start(folder, [...input, ...args, '-fs', String(maxBytes + 1), 'file:output'], 'ignore')
      try {
        await child.success(null)
      } finally {
        await child.end()
      }
      if (made.size > maxBytes) throw new ConversionFailed('What the conversion makes is too large')
      if (made.size === 0) throw new ConversionFailed('The file cannot be converted')
      yield* made.stream()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  async function prepared(source: Bytes): Promise<string> {
    const folder = await mkdtemp(join(parts.temporary, PREFIX))
    try {
      await chmod(folder, 0o700)
      await keep(source, join(folder, 'input'), parts.maxInputBytes)
      return folder
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  function start(folder: string, args: readonly string[], stdout: 'pipe' | 'ignore') {
    const child = Bun.spawn([parts.program, '-nostdin', '-y', '-v', 'error', ...args], {
      cwd: folder,
      stdin: 'ignore',
      stdout,
      stderr: 'ignore',
      // Not our environment: it holds secrets.
      env: { PATH: '', HOME: folder },
    })
    let late = false
    const disarm = parts.clock.after(parts.timeoutMs, () => {
      late = true
      child.kill('SIGKILL')
    })
    return {
      stdout: child.stdout,
      async success(size: number | null) {
        const code = await child.exited
        if (late) throw new ConversionFailed('The conversion takes too long')
        if (code !== 0 || size === 0) throw new ConversionFailed('The file cannot be converted')
      },
      async end() {
        disarm()
        child.kill('SIGKILL')
        await child.exited
      },
    }
  }

  return {
    wav: (source, maxSeconds) =>
      piped(
        source,
        ['-vn', '-sn', '-dn', '-t', String(maxSeconds + 1), '-ac', '1', '-ar', '48000', '-f', 'wav'],
        (maxSeconds + 2) * 96_000,
      ),
    async poster(source) {
      const args = ['-an', '-frames:v', '1', '-vf', 'scale=640:640:force_original_aspect_ratio=decrease']
      const pieces: Uint8Array[] = []
      for await (const piece of piped(source, [...args, '-f', 'mjpeg'], MAX_POSTER)) pieces.push(piece)
      return Buffer.concat(pieces)
    },
    film: (source, maxBytes) =>
      filed(
        source,
        [
          ...['-an', '-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-vf', 'scale=trunc(iw/2)*2:trunc(ih/2)*2'],
          ...['-movflags', '+faststart', '-f', 'mp4'],
        ],
        maxBytes,
      ),
    sticker: (source, maxBytes) =>
      filed(
        source,
        [
          ...['-an', '-t', '10', '-c:v', 'libwebp', '-quality', '50', '-loop', '0', '-vf'],
          'fps=15,scale=512:512:force_original_aspect_ratio=decrease,format=rgba,' +
            'pad=512:512:(ow-iw)/2:(oh-ih)/2:color=#00000000',
          ...['-f', 'webp'],
        ],
        maxBytes,
      ),
  }
}

/**
 * Sniffed type → the one format that the program may take it for. Left to guess, it would follow a playlist in disguise
 * to other files of this machine.
 */
const FORMATS: Readonly<Record<string, string>> = {
  'audio/aac': 'aac',
  'audio/aiff': 'aiff',
  'audio/amr': 'amr',
  'audio/amr-wb': 'amr',
  'audio/flac': 'flac',
  'audio/mp4': 'mov',
  'audio/mpeg': 'mp3',
  'audio/ogg; codecs=flac': 'ogg',
  'audio/ogg; codecs=opus': 'ogg',
  'audio/ogg; codecs=speex': 'ogg',
  'audio/ogg; codecs=vorbis': 'ogg',
  'audio/wav': 'wav',
  'image/gif': 'gif',
  'image/png': 'apng',
  'video/3gpp': 'mov',
  'video/3gpp2': 'mov',
  'video/mp4': 'mov',
  'video/quicktime': 'mov',
  'video/webm': 'matroska',
  'video/x-matroska': 'matroska',
  'video/x-msvideo': 'avi',
}

function inputOf(mimetype: string): string[] {
  const format = FORMATS[mimetype]
  if (format === undefined) throw new ConversionFailed(`${mimetype} cannot be converted`)
  return [
    '-threads',
    '1',
    '-protocol_whitelist',
    'file',
    '-f',
    format,
    '-i',
    'file:input',
    '-map_metadata',
    '-1',
  ]
}

async function keep(source: Bytes, path: string, maxBytes: number): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    let size = 0
    for await (const piece of source) {
      size += piece.length
      if (size > maxBytes) throw new ConversionFailed('The file is too large to be converted')
      await file.write(piece)
    }
  } finally {
    await file.close()
  }
}
