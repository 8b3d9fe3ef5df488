/**
 * Links to uploads: `/media/<file id>.<seal>`. Nobody can guess one, and ours are known without asking anybody, under
 * whatever host name they are written.
 */
import { createHmac } from 'node:crypto'
import { asFileId, type FileId } from '../domain/media'
import { sameSecret } from '../lib/token'

export interface UploadLinks {
  /** The path of a file's link. */
  pathOf(id: FileId): string
  /** The file behind the last part of a link; null when it is not one of ours. */
  fileOf(name: string): FileId | null
  /** The same for a whole URL. */
  fileOfUrl(url: string): FileId | null
}

export const UPLOAD_PATH = '/media/'
const NAME = /^([0-9a-f]{32})\.([A-Za-z0-9_-]{43})$/

/** `key`: at least 32 secret bytes, the same after every start. */
export function createUploadLinks(key: Uint8Array): UploadLinks {
  const seal = (id: string): string => createHmac('sha256', key).update(`upload\n${id}`).digest('base64url')
  const links: UploadLinks = {
    pathOf: (id) => `${UPLOAD_PATH}${id}.${seal(id)}`,
    fileOf(name) {
      const [, id, sealed] = NAME.exec(name) ?? []
      return id !== undefined && sealed !== undefined && sameSecret(sealed, seal(id)) ? asFileId(id) : null
    },
    fileOfUrl(url) {
      const path = URL.parse(url)?.pathname
      return path?.startsWith(UPLOAD_PATH) ? links.fileOf(path.slice(UPLOAD_PATH.length)) : null
    },
  }
  return links
}
