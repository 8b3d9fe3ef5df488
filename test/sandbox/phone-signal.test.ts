import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import {
  ForgedBundle,
  type KeyBundle,
  openPhoneSignal,
  type PhoneSignal,
} from '../../src/sandbox/phone-signal'
import { openState } from '../../src/sandbox/state'

const [ADA, BOB] = ['100@lid', '200@lid']
const bundleOf = (signal: PhoneSignal, jid: string): KeyBundle => ({
  jid,
  ...signal.registration(),
  preKey: signal.makePreKeys(1)[0] ?? null,
})

test('a session opens from an honest bundle only', async () => {
  const [ada, bob] = [openPhoneSignal(openState(), 'ada'), openPhoneSignal(openState(), 'bob')]
  const honest = bundleOf(bob, BOB)
  const forged = { ...honest, signedPreKey: { ...honest.signedPreKey, publicKey: randomBytes(32) } }
  await expect(ada.openSession(forged)).rejects.toThrow(ForgedBundle)
  expect(await ada.hasSession(BOB)).toBe(false)

  await ada.openSession(honest)
  const sealed = await ada.encrypt(BOB, { conversation: 'hello' })
  expect(sealed.type).toBe('pkmsg')
  const opened = await bob.decrypt(ADA, { type: 'pkmsg', ciphertext: sealed.ciphertext })
  expect(opened.conversation).toBe('hello')
  for (const signal of [ada, bob]) signal.close()
})

test('keys, sessions and sender keys are there when the phone is switched on again', async () => {
  const [adaState, bobState] = [openState(), openState()]
  const first = openPhoneSignal(adaState, 'ada')
  const bob = openPhoneSignal(bobState, 'bob')
  await first.openSession(bundleOf(bob, BOB))
  await first.learn('49100@s.whatsapp.net', ADA)
  const group = '1@g.us'
  const { distribution } = await first.encryptGroup(group, ADA, { conversation: 'one' })
  await bob.acceptDistribution(ADA, { groupId: group, axolotlSenderKeyDistributionMessage: distribution })
  first.commit()
  first.close()

  const second = openPhoneSignal(adaState, 'ada')
  expect(second.registration()).toEqual(first.registration())
  expect(await second.lidOf('49100@s.whatsapp.net')).toBe(ADA)
  const sealed = await second.encrypt(BOB, { conversation: 'still me' })
  const opened = await bob.decrypt(ADA, { type: 'pkmsg', ciphertext: sealed.ciphertext })
  expect(opened.conversation).toBe('still me')
  const { ciphertext } = await second.encryptGroup(group, ADA, { conversation: 'two' })
  expect((await bob.decryptGroup(group, ADA, ciphertext)).conversation).toBe('two')

  second.forgetGroupKey(group, ADA)
  const renewed = await second.encryptGroup(group, ADA, { conversation: 'three' })
  await expect(bob.decryptGroup(group, ADA, renewed.ciphertext)).rejects.toThrow()
  for (const signal of [second, bob]) signal.close()
})
