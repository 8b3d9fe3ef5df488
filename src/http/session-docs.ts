/** Requests and answers of the session routes as the manual prints them, for the document. */
export const ID = '5bc99cea8975b95fe7077c64a3312145'

export const CREATE_REQUEST = { name: 'Customer Support', description: 'Main customer support line' }

export const SESSION = {
  id: ID,
  name: 'Customer Support',
  description: 'Main customer support line',
  status: 'connected',
  phoneNumber: '+1234567890',
  createdAt: '2024-01-01T00:00:00.000Z',
  updatedAt: '2024-01-01T12:00:00.000Z',
  lastActivity: '2024-01-01T12:00:00.000Z',
  connectionInfo: {
    connectedAt: '2024-01-01T10:00:00.000Z',
    clientVersion: '2.2408.10',
    deviceModel: 'iphone',
  },
  lastDisconnect: null,
  restriction: null,
  messageStats: { sent: 150, received: 89, failed: 2 },
  messageQueue: 0,
  settings: {
    autoReconnect: true,
    reconnectInterval: 30_000,
    maxReconnectAttempts: 10,
    webhookUrl: 'https://your-server.com/webhook',
    messageHistory: true,
    ipWhitelist: [],
    enableEncryption: true,
    proxyUrl: null,
    markOnline: false,
    sendPacing: null,
    queuePaused: false,
    downloadMedia: false,
  },
}

const { connectionInfo: _, ...unlinked } = SESSION
export const CREATED = {
  success: true,
  message: 'Session created successfully',
  session: {
    ...unlinked,
    status: 'inactive',
    phoneNumber: null,
    updatedAt: '2024-01-01T00:00:00.000Z',
    lastActivity: null,
    messageStats: { sent: 0, received: 0, failed: 0 },
    settings: { ...SESSION.settings, webhookUrl: null },
  },
}

export const UPDATE_REQUEST = {
  name: 'Updated Session Name',
  description: 'Updated description',
  settings: { autoReconnect: false, webhookUrl: 'https://new-webhook.com/endpoint' },
}

export const STATUS = {
  success: true,
  status: 'qr_generated',
  phoneNumber: null,
  lastActivity: null,
  qrAvailable: true,
}

export const QR = {
  success: true,
  qrCode: 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA...',
  qrText: '2@AbC...,dEf...,gHi...,jKl...',
  message: 'QR code generated successfully',
  expiresAt: '2024-01-01T00:05:00.000Z',
}
