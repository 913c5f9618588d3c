/**
 * The AES S-box and its inverse as circuits of AND and XOR gates (FIPS 197 §5.1.1, §5.3.2).
 *
 * Three parts. Top: 22 linear forms of the 8 input bits. Middle: the inversion in GF(2^8) as inversion in a
 * tower of fields, 32 AND gates. Bottom: the 8 output bits as linear forms of the 18 products z0..z17.
 * Top and middle of the forward circuit are those of J. Boyar and R. Peralta, "A depth-16 circuit for the AES
 * S-box", IACR ePrint 2011/332. The other linear parts were found by linear-search.ts, which also tells why
 * both directions share one middle.
 *
 * Both circuits leave out the constant 0x63: the forward one gives S(x) ^ 0x63, the inverse one takes
 * y ^ 0x63. The constant is in the round keys (see aes-cbc.ts), which costs nothing per block.
 */
import { type Gate, parseCircuit, reorder } from './circuit.ts'

/** The 22 linear forms that the middle reads: y1..y21, and x7 itself. */
const forwardTop = `
  y14 = x3 ^ x5; y13 = x0 ^ x6; y9 = x0 ^ x3; y8 = x0 ^ x5; a0 = x1 ^ x2; y1 = a0 ^ x7
  y4 = y1 ^ x3; y12 = y13 ^ y14; y2 = y1 ^ x0; y5 = y1 ^ x6; y3 = y5 ^ y8; a1 = x4 ^ y12
  y15 = a1 ^ x5; y20 = a1 ^ x1; y6 = y15 ^ x7; y10 = y15 ^ a0; y11 = y20 ^ y9; y7 = x7 ^ y11
  y17 = y10 ^ y11; y19 = y10 ^ y8; y16 = a0 ^ y11; y21 = y13 ^ y16; y18 = x0 ^ y16
`

/** 62 gates, 32 of them AND; \`one\` stands for the form that is x7 itself in the forward circuit. */
const middle = (one: string): string => `
  t2 = y12 & y15; t3 = y3 & y6; t4 = t3 ^ t2; t5 = y4 & ${one}; t6 = t5 ^ t2; t7 = y13 & y16
  t8 = y5 & y1; t9 = t8 ^ t7; t10 = y2 & y7; t11 = t10 ^ t7; t12 = y9 & y11; t13 = y14 & y17
  t14 = t13 ^ t12; t15 = y8 & y10; t16 = t15 ^ t12; t17 = t4 ^ t14; t18 = t6 ^ t16; t19 = t9 ^ t14
  t20 = t11 ^ t16; t21 = t17 ^ y20; t22 = t18 ^ y19; t23 = t19 ^ y21; t24 = t20 ^ y18
  t25 = t21 ^ t22; t26 = t21 & t23; t27 = t24 ^ t26; t28 = t25 & t27; t29 = t28 ^ t22
  t30 = t23 ^ t24; t31 = t22 ^ t26; t32 = t31 & t30; t33 = t32 ^ t24; t34 = t23 ^ t33
  t35 = t27 ^ t33; t36 = t24 & t35; t37 = t36 ^ t34; t38 = t27 ^ t36; t39 = t29 & t38
  t40 = t25 ^ t39; t41 = t40 ^ t37; t42 = t29 ^ t33; t43 = t29 ^ t40; t44 = t33 ^ t37
  t45 = t42 ^ t41
  z0 = t44 & y15; z1 = t37 & y6; z2 = t33 & ${one}; z3 = t43 & y16; z4 = t40 & y1; z5 = t29 & y7
  z6 = t42 & y11; z7 = t45 & y17; z8 = t41 & y10; z9 = t44 & y12; z10 = t37 & y3; z11 = t33 & y4
  z12 = t43 & y13; z13 = t40 & y5; z14 = t29 & y2; z15 = t42 & y9; z16 = t45 & y14; z17 = t41 & y8
`

const forwardBottom = `
  b0 = z16 ^ z15; b1 = b0 ^ z10; b2 = b1 ^ z9; b3 = z12 ^ z8; b4 = z4 ^ z3; b5 = b2 ^ z1; b6 = z2 ^ z0
  b7 = b0 ^ z13; b8 = b7 ^ z5; b9 = b4 ^ z7; b10 = b9 ^ b3; b11 = b5 ^ z0; b12 = b6 ^ z14; b13 = b8 ^ z3
  s6 = b13 ^ b10; s3 = b11 ^ b4; b16 = b9 ^ z6; b17 = b12 ^ b10; b18 = b13 ^ b6; s1 = b16 ^ s3
  s7 = b18 ^ z12; s0 = b16 ^ b2; b22 = b18 ^ s3; s4 = b22 ^ b7; b24 = b17 ^ z15; b25 = b24 ^ z17
  s2 = b25 ^ b16; b27 = b17 ^ z11; s5 = b27 ^ b1
`

const inverseTop = `
  y5 = x3 ^ x1; a1 = x7 ^ x6; y9 = x4 ^ x3; y8 = x1 ^ x0; y4 = a1 ^ y5; y7 = y4 ^ x2; a6 = x5 ^ x0
  y11 = a6 ^ y4; y19 = x7 ^ x4; y10 = y19 ^ y8; y1 = y19 ^ x3; y13 = y9 ^ a1; y18 = y9 ^ x2
  y14 = y8 ^ y9; y16 = y1 ^ y7; y17 = y10 ^ y11; y12 = y8 ^ a1; y21 = y16 ^ y13; y2 = y18 ^ y7
  y6 = y8 ^ x3; y3 = y8 ^ y5; y20 = y2 ^ a6; y0 = y11 ^ y7; y15 = y0 ^ y6
`

const inverseBottom = `
  b0 = z15 ^ z6; b1 = b0 ^ z13; b2 = z16 ^ z12; b3 = b1 ^ z8; b4 = b3 ^ b2; b5 = z4 ^ z1; b6 = z10 ^ z2
  b7 = b4 ^ z3; b8 = b6 ^ z14; b9 = z17 ^ z11; b10 = b4 ^ z0; b11 = z7 ^ z4; b12 = b10 ^ z5
  b13 = b8 ^ b7; b14 = b13 ^ b5; b15 = b11 ^ z8; s5 = b12 ^ b5; s6 = b15 ^ b7; s3 = b10 ^ z2
  s0 = b7 ^ z5; b20 = b9 ^ z9; b21 = b14 ^ z11; s7 = b20 ^ z15; s2 = b21 ^ z13; b24 = b6 ^ z16
  b25 = b20 ^ b2; s1 = b25 ^ b21; b27 = b24 ^ b9; b28 = b27 ^ b15; s4 = b28 ^ b12
`

/** The order in which few values wait in registers, found by gate-order.ts. */
const forwardOrder = `
  a0 y13 y8 y1 y14 y12 a1 y4 y15 t2 y20 y5 y10 y6 y9 y11 y3 y16 t12 t15 t16 t5 t6 t18 y19 t22 y17 y7 y2
  t13 t14 t7 t10 t11 t20 y18 t24 t8 t9 t19 y21 t23 t3 t4 t17 t21 t25 t26 t27 t28 t29 t31 t30 t32 t33 t35
  t36 t42 t38 t39 t40 t43 z12 z3 t34 t37 t41 t45 z15 z16 b0 z4 b4 z13 b7 z7 b9 t44 z5 b8 b13 z10 b1 z9 b2
  z0 z6 b16 z1 b5 b11 s3 z2 b6 z8 b3 b10 b18 s7 s0 b22 s4 z14 b12 b17 z11 b27 s5 s1 b24 z17 b25 s2 s6
`

const inverseOrder = `
  a6 y9 y8 a1 y19 y5 y1 y4 y14 y10 y11 t12 y7 y17 t13 t14 y6 t15 t16 y16 y13 y18 y0 y12 y15 y3 t2 y2 t7
  t10 t11 t20 t24 t3 t4 t17 y20 t21 t5 t6 t18 t22 t8 t9 t19 y21 t23 t25 t26 t31 t30 t32 t33 t27 t28 t29
  t35 t36 z2 t42 t34 t37 z11 t38 t39 t40 t43 t41 t44 t45 z10 b6 z4 z8 z13 z1 b5 z15 z7 b11 b15 z16 z12 b2
  z17 b9 z6 b0 b1 b3 b4 z3 b7 z0 b10 z14 b8 b13 b14 b21 z9 b20 s2 z5 b12 s5 s0 b24 b27 b28 s4 s6 b25 s1 s3
  s7
`

/** The order in which joined pairs of vectors take least time, found by gate-climb.ts. */
const wideForwardOrder = `
  y13 y14 a0 y1 y12 a1 y20 y5 y15 y8 t2 y10 y4 y9 t15 y3 y11 y19 y16 t12 t16 t5 t8 y6 t6 t18 y17 t22 y7 t3
  t13 t14 t4 y2 t7 t10 t9 t11 t19 y18 t20 y21 t23 t17 t21 t25 t24 t26 t27 t30 t31 t28 t29 t32 t33 t35 t42
  t34 t36 t38 t37 t39 t40 z1 z5 t43 z13 z4 t41 t45 z15 z3 z2 z16 b0 z10 z12 b1 z7 z14 b7 t44 b8 b4 b13 z6
  z9 b9 b2 b16 z0 b5 z11 b11 b6 b18 s3 b12 z17 s1 z8 b3 b10 b17 s0 b24 b22 b25 s6 b27 s2 s7 s5 s4
`

const wideInverseOrder = `
  y19 y5 y1 a1 y4 y9 y8 y10 a6 y11 t12 y7 y17 y14 t13 t14 y6 t15 y3 t8 y13 y18 t16 y16 y12 t7 y0 y15 t2 y2
  t10 t11 t20 t3 t4 t24 t17 y20 t21 t5 t6 t18 t22 t9 t19 y21 t25 t23 t26 t27 t31 t30 t32 t33 t28 t29 t35
  t36 t42 t34 t37 z11 t38 t39 t40 z1 t41 z2 t44 z10 b6 z4 z8 z13 t45 t43 b5 z15 z7 b11 z9 z6 z0 z3 z16 z12
  b15 z17 b9 z5 b0 b2 b1 b3 b4 z14 b10 b8 b7 b13 b14 b21 b24 b20 b12 s2 s5 s0 b27 b28 s6 s4 b25 s3 s1 s7
`

/** S(x) ^ 0x63. */
export const forwardSbox: readonly Gate[] = reorder(
  parseCircuit(forwardTop + middle('x7') + forwardBottom),
  forwardOrder,
)

/** S⁻¹(x ^ 0x63). */
export const inverseSbox: readonly Gate[] = reorder(
  parseCircuit(inverseTop + middle('y0') + inverseBottom),
  inverseOrder,
)

/** The same two for the kernels of 64 lanes. */
export const wideForwardSbox: readonly Gate[] = reorder(forwardSbox, wideForwardOrder)
export const wideInverseSbox: readonly Gate[] = reorder(inverseSbox, wideInverseOrder)
