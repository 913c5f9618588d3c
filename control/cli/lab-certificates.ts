// The lab's own certification authority, and a certificate for each gateway that wants one.

import { generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import { createCa, issueCertificate, privateKeyPem } from '../pki/make.ts'

const RSA_BITS = 3072
const DAYS = 90
const CA_NAME = 'O=Provider, CN=lab CA'

const makeKeyPair = promisify(generateKeyPair)

/** PEM texts, and a sentence for the user about each. */
export type LabCertificates = {
  authority: { certificate: string; text: string }
  issued: { name: string; privateKey: string; certificate: string; text: string }[]
}
export type CertificateWish = { name: string; subject: string; fqdn: string }

/** Makes all key pairs on the thread pool at once; the CA's private key is forgotten with the return. */
export async function makeLabCertificates(wishes: CertificateWish[]): Promise<LabCertificates> {
  const [caKey, ...keys] = await Promise.all([rsaKey(), ...wishes.map(rsaKey)])
  const now = Date.now()
  const ca = createCa({ subject: CA_NAME, now, days: DAYS, key: caKey })
  const issued = wishes.map(({ name, subject, fqdn }, index) => {
    const publicKey = keys[index]!
    const certificate = issueCertificate({
      ...{ ca, subject, now, publicKey, days: DAYS },
      altNames: [{ kind: 'fqdn', value: fqdn }],
    })
    return { name, privateKey: privateKeyPem(publicKey), certificate, text: describe(certificate) }
  })
  return { authority: { certificate: ca.certificate, text: describe(ca.certificate) }, issued }
}

async function rsaKey(): Promise<KeyObject> {
  const { privateKey } = await makeKeyPair('rsa', { modulusLength: RSA_BITS })
  return privateKey
}

function describe(pem: string): string {
  const { subject, subjectAltName } = new X509Certificate(pem)
  const name = subjectAltName === undefined ? '' : ` (${subjectAltName.replace('DNS:', '')})`
  return `RSA ${RSA_BITS}, certificate ${subject.replaceAll('\n', ', ')}${name}`
}
