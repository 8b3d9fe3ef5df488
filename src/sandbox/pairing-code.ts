/**
 * Linking with a code (wire notes §4.3). The server only carries wrapped keys between companion and phone; it never
 * learns the code. A wrong code therefore shows on the phone alone.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { notify } from './delivery'
import { parseJid } from './jid'
import { child, childBytes, childText, node, result } from './node'
import { demand, Refusal } from './refusal'
import type { Registration } from './registration'
import type { Device } from './types'
import type { World } from './world'

const TAG = 'link_code_companion_reg'
const WRAPPED_KEY_LENGTH = 32 + 16 + 32
const BUNDLE_LENGTH = 32 + 12 + 96 + 16

const isReg = (request: BinaryNode): BinaryNode => {
  const reg = child(request, TAG)
  demand(reg !== undefined && request.attrs.type === 'set', 400, 'bad-request')
  return reg
}

/** What a waiting companion says: `companion_hello` asks for the dialog, `companion_finish` closes it. */
export function handlePairingCode(registration: Registration, request: BinaryNode): BinaryNode {
  const reg = isReg(request)
  if (reg.attrs.stage === 'companion_hello') return hello(registration, request, reg)
  if (reg.attrs.stage === 'companion_finish') return finish(registration, request, reg)
  throw new Refusal(400, 'bad-request')
}

function hello(registration: Registration, request: BinaryNode, reg: BinaryNode): BinaryNode {
  const { world, companion } = registration
  const wrapped = childBytes(reg, 'link_code_pairing_wrapped_companion_ephemeral_pub')
  const noiseKey = childBytes(reg, 'companion_server_auth_key_pub')
  demand(wrapped?.length === WRAPPED_KEY_LENGTH, 400, 'bad-request')
  demand(noiseKey?.equals(companion.noiseKey), 400, 'bad-request')
  // WhatsApp shows it to the user and turns away anything but `Browser (System)`.
  demand(/^.+ \(.+\)$/.test(childText(reg, 'companion_platform_display') ?? ''), 400, 'bad-request')
  demand(childText(reg, 'companion_platform_id'), 400, 'bad-request')

  const account = world.directory.find(parseJid(reg.attrs.jid))
  const phone = account?.devices.get(0)
  demand(account !== undefined && phone !== undefined, 404, 'item-not-found')
  registration.code = { ref: `3@${world.random(24).toString('base64')}`, account, answered: false }
  registration.line.target.phoneNumber = account.phoneNumber
  const ref = node('link_code_pairing_ref', {}, registration.code.ref)
  const shown = Array.isArray(reg.content) ? reg.content : []
  notify(world, phone, TAG, [node(TAG, { stage: 'companion_hello' }, [...shown, ref])])
  return result(request, [node(TAG, { stage: 'companion_hello' }, [ref])])
}

function finish(registration: Registration, request: BinaryNode, reg: BinaryNode): BinaryNode {
  const { world, companion, code } = registration
  const bundle = childBytes(reg, 'link_code_pairing_wrapped_key_bundle')
  demand(code?.answered && childText(reg, 'link_code_pairing_ref') === code.ref, 404, 'item-not-found')
  demand(bundle?.length === BUNDLE_LENGTH, 400, 'bad-request')
  demand(childBytes(reg, 'companion_identity_public')?.equals(companion.identityKey), 400, 'bad-request')
  const phone = code.account.devices.get(0)
  demand(phone !== undefined, 404, 'item-not-found')
  const content = Array.isArray(reg.content) ? reg.content : []
  notify(world, phone, TAG, [node(TAG, { stage: 'companion_finish' }, content)])
  return result(request)
}

/** What a phone says when its user has typed a code: `primary_hello` goes on to the companion. */
export function relayPrimaryHello(world: World, phone: Device, request: BinaryNode): BinaryNode {
  const reg = isReg(request)
  demand(reg.attrs.stage === 'primary_hello' && phone.id === 0, 403, 'forbidden')
  const ref = childText(reg, 'link_code_pairing_ref')
  const wrapped = childBytes(reg, 'link_code_pairing_wrapped_primary_ephemeral_pub')
  demand(wrapped?.length === WRAPPED_KEY_LENGTH, 400, 'bad-request')
  demand(childBytes(reg, 'primary_identity_pub')?.equals(phone.identityKey), 403, 'forbidden')
  for (const registration of world.registrations) {
    const { code } = registration
    if (code === null || code.ref !== ref || code.account !== phone.account) continue
    code.answered = true
    const content = Array.isArray(reg.content) ? reg.content : []
    registration.notify(TAG, [node(TAG, { stage: 'primary_hello' }, content)])
    return result(request)
  }
  throw new Refusal(404, 'item-not-found')
}
