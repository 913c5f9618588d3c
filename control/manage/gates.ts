// Which gate an algorithm in use needed (config-language section 5): shown beside the SA that uses it.

const LEGACY = new Set(['3des', 'group 2', 'group 5'])
const INSECURE = new Set(['des', 'md5', 'none', 'group 1'])
/** Ciphers that authenticate by themselves: `none` beside them is no weakness. */
const AEAD = /gcm|chacha20/

type Ike = { encryption: string; authentication: string; prf: string; dhGroup: number }
type Child = { cipher: string; integrity: string | null; dhGroup?: number | null }

/** Gates that an IKE SA in use needed. */
export function ikeGates({ encryption, authentication, prf, dhGroup }: Ike): string[] {
  return gatesOf([encryption, authentication, prf, `group ${dhGroup}`])
}

/** Gates that a Child SA or a manual SA in use needed; dhGroup: of PFS. */
export function childGates({ cipher, integrity, dhGroup }: Child): string[] {
  return gatesOf([cipher, integrity ?? 'none', dhGroup ? `group ${dhGroup}` : null])
}

/** `legacy-crypto 3des`, `insecure-crypto md5`, ...: empty for what needs no gate. */
export function gatesOf(items: (string | null)[]): string[] {
  const words = items.filter((item) => item !== null)
  const judged = words.some((word) => AEAD.test(word)) ? words.filter((word) => word !== 'none') : words
  return judged.flatMap((item) => {
    if (LEGACY.has(item)) return [`legacy-crypto ${item}`]
    return INSECURE.has(item) ? [`insecure-crypto ${item}`] : []
  })
}
