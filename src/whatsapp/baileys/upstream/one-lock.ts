/**
 * Upstream defect: a person has two addresses, a number and a LID, and one Signal session, which Baileys guards by the
 * address that it was given. We write to the number while the person's messages come under the LID, so a message can be
 * encrypted while another is decrypted: both read the same ratchet, the later commit undoes the earlier one, and the next
 * message of either side cannot be decrypted.
 *
 * Repair: every operation on a session is guarded by the same name, the LID where it is known.
 *
 * Upstream repaired it when the tests named "upstream: …" of `one-lock.test.ts` fail.
 */
import {
  isHostedPnUser,
  isPnUser,
  jidDecode,
  jidEncode,
  type SignalRepositoryWithLIDStore,
} from '@whiskeysockets/baileys'

/** The one name of a session, whichever address of the person is given. */
export async function sessionName(
  { lidMapping }: Pick<SignalRepositoryWithLIDStore, 'lidMapping'>,
  jid: string,
): Promise<string> {
  const isNumber = isPnUser(jid) === true || isHostedPnUser(jid) === true
  const name = (isNumber ? await lidMapping.getLIDForPN(jid) : null) ?? jid
  const parts = jidDecode(name)
  // The device 0 is written or left out.
  return parts ? jidEncode(parts.user, parts.server, parts.device) : name
}

/** The same repository, its sessions guarded by one name each; decryption is the caller's to guard. */
export function lockedByPerson(repository: SignalRepositoryWithLIDStore): SignalRepositoryWithLIDStore {
  return {
    ...repository,
    encryptMessage: async (options) =>
      repository.encryptMessage({ ...options, jid: await sessionName(repository, options.jid) }),
    injectE2ESession: async (options) =>
      repository.injectE2ESession({ ...options, jid: await sessionName(repository, options.jid) }),
  }
}
