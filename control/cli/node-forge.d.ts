// The part of node-forge that is used here: opening PKCS#12. The package brings no types.

declare module 'node-forge' {
  export type Asn1 = { readonly type: number }
  /** asn1: the structure as it stood in the file, where forge has not read it itself */
  export type Bag = { type: string; asn1?: Asn1 }
  export type Pfx = { safeContents: { safeBags: Bag[] }[] }
  type Forge = {
    asn1: { fromDer(bytes: string): Asn1; toDer(asn1: Asn1): { getBytes(): string } }
    pki: {
      oids: Record<string, string>
      privateKeyFromAsn1(asn1: Asn1): object
      certificateFromAsn1(asn1: Asn1): object
    }
    pkcs12: { pkcs12FromAsn1(asn1: Asn1, strict: boolean, password: string): Pfx }
  }
  const forge: Forge
  export default forge
}
