/** Buttons and lists that businesses send, and what people choose from them. */
import type { proto } from '@whiskeysockets/baileys'
import type { PhoneContentOf } from './content-schemas'
import { known, present, type ReadContent, type Surroundings } from './content-shape'

type MenuType = 'buttons' | 'list' | 'choice'
/** As read: anything may be missing. */
type Button = { id: string; text: string; url?: string | undefined }
type Row = { id: string; title: string; description?: string | undefined }
type Section = { title?: string | undefined; rows: Row[] }

const BUTTONS = {
  buttons: ({ text, footer, buttons }: PhoneContentOf<'buttons'>): proto.IMessage => ({
    buttonsMessage: {
      contentText: text,
      ...present({ footerText: footer }),
      headerType: 1,
      buttons: buttons.map(({ id, text: displayText }) => ({
        buttonId: id,
        buttonText: { displayText },
        type: 1,
      })),
    },
  }),
  template({ text, footer, buttons }: PhoneContentOf<'buttons'>): proto.IMessage {
    const hydratedTemplate = {
      hydratedContentText: text,
      ...present({ hydratedFooterText: footer }),
      hydratedButtons: buttons.map(({ id, text: displayText, url }, index) =>
        url === undefined
          ? { index, quickReplyButton: { id, displayText } }
          : { index, urlButton: { displayText, url } },
      ),
    }
    return { templateMessage: { hydratedTemplate, hydratedFourRowTemplate: hydratedTemplate } }
  },
  interactive: ({ text, footer, buttons }: PhoneContentOf<'buttons'>): proto.IMessage =>
    nativeFlow(
      text,
      footer,
      buttons.map(({ id, text: display_text, url }) =>
        url === undefined
          ? flowButton('quick_reply', { display_text, id })
          : flowButton('cta_url', { display_text, id, url, merchant_url: url }),
      ),
    ),
} as const

type FlowButton = proto.Message.InteractiveMessage.NativeFlowMessage.INativeFlowButton
const flowButton = (name: string, params: object): FlowButton => ({
  name,
  buttonParamsJson: JSON.stringify(params),
})
const nativeFlow = (
  text: string,
  footer: string | undefined,
  buttons: FlowButton[],
  title?: string,
): proto.IMessage => ({
  interactiveMessage: {
    body: { text },
    ...(footer === undefined ? {} : { footer: { text: footer } }),
    ...(title === undefined ? {} : { header: { title, hasMediaAttachment: false } }),
    nativeFlowMessage: { buttons, messageVersion: 1 },
  },
})

export const writeMenu: {
  [T in MenuType]: (content: PhoneContentOf<T>, around: Surroundings) => proto.IMessage
} = {
  buttons: (content) => BUTTONS[content.format ?? 'buttons'](content),
  list({ title, text, footer, buttonText, sections, format }) {
    if (format === 'interactive') {
      const rows = sections.map((section) => ({ title: section.title ?? '', rows: section.rows }))
      return nativeFlow(
        text,
        footer,
        [flowButton('single_select', { title: buttonText, sections: rows })],
        title,
      )
    }
    return {
      listMessage: {
        ...present({ title, footerText: footer }),
        description: text,
        buttonText,
        listType: 1,
        sections: sections.map((section) => ({
          ...present({ title: section.title }),
          rows: section.rows.map(({ id, title, description }) => ({
            rowId: id,
            title,
            ...present({ description }),
          })),
        })),
      },
    }
  },
  choice({ choiceId: id, text, targetMessageId }, around) {
    const target = targetMessageId === undefined ? null : known(around, targetMessageId)
    const contextInfo = target && {
      stanzaId: target.key.id ?? null,
      participant: target.author,
      quotedMessage: target.message,
    }
    const points = contextInfo ? { contextInfo } : {}
    // The answer has the form of the question.
    if (target?.message.listMessage) {
      const answer = { title: text, listType: 1, singleSelectReply: { selectedRowId: id } }
      return { listResponseMessage: { ...answer, ...points } }
    }
    if (target?.message.templateMessage) {
      return { templateButtonReplyMessage: { selectedId: id, selectedDisplayText: text, ...points } }
    }
    if (target?.message.interactiveMessage) {
      const nativeFlowResponseMessage = {
        name: 'quick_reply',
        paramsJson: JSON.stringify({ id }),
        version: 1,
      }
      return { interactiveResponseMessage: { body: { text }, nativeFlowResponseMessage, ...points } }
    }
    return {
      buttonsResponseMessage: { selectedButtonId: id, selectedDisplayText: text, type: 1, ...points },
    }
  },
}

const readButtons = (
  text: string | null | undefined,
  footer: string | null | undefined,
  buttons: Button[],
): ReadContent => ({
  type: 'buttons',
  text: text ?? '',
  ...present({ footer: footer || undefined }),
  buttons: buttons.map(({ id, text: label, url }) => ({ id, text: label, ...present({ url }) })),
})

type Template = proto.Message.TemplateMessage.IHydratedFourRowTemplate
const readTemplate = (template: Template | null | undefined): ReadContent =>
  readButtons(
    template?.hydratedContentText,
    template?.hydratedFooterText,
    (template?.hydratedButtons ?? []).map(({ quickReplyButton, urlButton, callButton }) => ({
      id: quickReplyButton?.id ?? '',
      text: (quickReplyButton ?? urlButton ?? callButton)?.displayText ?? '',
      url: urlButton?.url ?? undefined,
    })),
  )

type FlowParams = {
  id?: string
  display_text?: string
  url?: string
  title?: string
  sections?: Section[]
}
/** Parameters as their sender wrote them; nothing when they are no JSON. */
function paramsOf(json: string | null | undefined): FlowParams {
  try {
    return JSON.parse(json ?? '{}') ?? {}
  } catch {
    return {}
  }
}

function readInteractive({ interactiveMessage }: proto.IMessage): ReadContent {
  const { body, footer, header, nativeFlowMessage } = interactiveMessage ?? {}
  const buttons = (nativeFlowMessage?.buttons ?? []).map(({ name, buttonParamsJson }) => ({
    name,
    params: paramsOf(buttonParamsJson),
  }))
  const list = buttons.find(({ name }) => name === 'single_select')?.params
  if (!list) {
    const shown = buttons.map(({ params }) => ({
      id: params.id ?? '',
      text: params.display_text ?? '',
      url: params.url,
    }))
    return readButtons(body?.text, footer?.text, shown)
  }
  return {
    type: 'list',
    ...present({ title: header?.title || undefined, footer: footer?.text || undefined }),
    text: body?.text ?? '',
    buttonText: list.title ?? '',
    sections: (list.sections ?? []).map(readSection),
  }
}

const readSection = ({ title, rows }: Section) => ({
  ...present({ title: title || undefined }),
  rows: rows.map((row) => ({
    id: row.id,
    title: row.title,
    ...present({ description: row.description || undefined }),
  })),
})

const readChoice = (
  id: string | null | undefined,
  text: string | null | undefined,
  contextInfo: proto.IContextInfo | null | undefined,
): ReadContent => ({
  type: 'choice',
  choiceId: id ?? '',
  text: text ?? '',
  ...present({ targetMessageId: contextInfo?.stanzaId || undefined }),
})

export const readMenu: Record<string, (message: proto.IMessage) => ReadContent> = {
  buttonsMessage: ({ buttonsMessage }) =>
    readButtons(
      buttonsMessage?.contentText,
      buttonsMessage?.footerText,
      (buttonsMessage?.buttons ?? []).map(({ buttonId, buttonText }) => ({
        id: buttonId ?? '',
        text: buttonText?.displayText ?? '',
      })),
    ),
  templateMessage: ({ templateMessage: sent }) =>
    sent?.interactiveMessageTemplate
      ? readInteractive({ interactiveMessage: sent.interactiveMessageTemplate })
      : readTemplate(sent?.hydratedTemplate ?? sent?.hydratedFourRowTemplate),
  interactiveMessage: readInteractive,
  listMessage: ({ listMessage: list }) => ({
    type: 'list',
    ...present({ title: list?.title || undefined, footer: list?.footerText || undefined }),
    text: list?.description ?? '',
    buttonText: list?.buttonText ?? '',
    sections: (list?.sections ?? []).map(({ title, rows }) =>
      readSection({
        title: title ?? undefined,
        rows: (rows ?? []).map((row) => ({
          id: row.rowId ?? '',
          title: row.title ?? '',
          description: row.description ?? undefined,
        })),
      }),
    ),
  }),
  buttonsResponseMessage: ({ buttonsResponseMessage: chosen }) =>
    readChoice(chosen?.selectedButtonId, chosen?.selectedDisplayText, chosen?.contextInfo),
  listResponseMessage: ({ listResponseMessage: chosen }) =>
    readChoice(chosen?.singleSelectReply?.selectedRowId, chosen?.title, chosen?.contextInfo),
  templateButtonReplyMessage: ({ templateButtonReplyMessage: chosen }) =>
    readChoice(chosen?.selectedId, chosen?.selectedDisplayText, chosen?.contextInfo),
  interactiveResponseMessage: ({ interactiveResponseMessage: chosen }) =>
    readChoice(
      paramsOf(chosen?.nativeFlowResponseMessage?.paramsJson).id,
      chosen?.body?.text,
      chosen?.contextInfo,
    ),
}
