/**
 * Circuits of the eight DES S-boxes (FIPS 46-3), found by des-search.ts: 411 gates in all, 51.38 on average.
 * How to read them is in des-gates.ts. Each came of several runs, which went on, with `improve`, from what the runs
 * before had found.
 */
import { type DesGate, parseDesCircuit } from './des-gates.ts'

const texts = [
  // S1: 52 gates
  `
      t0 = x4 ^ x1; t1 = x4 & x3; t2 = x5 &~ t1; t3 = t0 ^ t2; t4 = t0 ^ x5; t5 = x3 &~ t4; t6 = t0 ^ t5
      t7 = x4 ^ t6; t8 = x2 &~ t7; t9 = t3 ^ t8; t10 = x1 & t2; t11 = t6 | t10; t12 = t11 &~ x2
      t13 = x1 | t1; t14 = t12 ^ t13; t15 = x0 &~ t14; s0 = t9 ^ t15; t17 = t4 &~ t15; t18 = x2 &~ t17
      t19 = t3 ^ t18; t20 = t15 ^ t19; t21 = x3 ^ t20; t22 = x3 | t10; t23 = t22 ^ x2; t24 = t9 &~ t23
      t25 = x5 ^ t24; t26 = t25 &~ x0; t27 = t21 ^ t26; t28 = x4 | t27; t29 = x5 | t18; t30 = t22 ^ t29
      t31 = x0 | t30; t32 = t19 ^ t31; s1 = t28 ^ t32; t34 = t22 &~ t30; t35 = x0 &~ t34; t36 = t32 ^ t35
      t37 = x5 ^ s1; t38 = t0 &~ t37; t39 = t23 ^ t38; t40 = x4 & t39; s3 = t36 ^ t40; t42 = s0 ^ s1
      t43 = s3 ^ t42; t44 = x1 | t24; t45 = t43 ^ t44; t46 = t20 &~ t32; t47 = t13 & t46; t48 = x5 | t47
      t49 = t20 ^ t48; t50 = x4 & t49; s2 = t45 ^ t50
  `,
  // S2: 44 gates
  `
      t0 = x4 & x0; t1 = x2 &~ t0; t2 = t1 ^ x3; t3 = x3 ^ x4; t4 = t2 &~ t0; t5 = x1 &~ t4; t6 = t5 &~ x5
      t7 = t3 ^ t6; t8 = x0 ^ t7; t9 = t0 | x1; t10 = t8 &~ t9; t11 = x4 | t10; t12 = x1 ^ t11
      t13 = t2 ^ t12; t14 = t13 &~ x1; t15 = x0 &~ t14; t16 = x2 ^ t15; t17 = t9 &~ t16; t18 = t17 &~ t1
      t19 = x5 | t18; s0 = t13 ^ t19; t21 = s0 &~ x5; t22 = t12 ^ t21; t23 = t22 &~ x1; t24 = x4 | s0
      t25 = t23 ^ t24; t26 = x4 ^ t25; t27 = t2 ^ t26; t28 = x5 &~ x2; t29 = t27 & t28; s1 = t29 ^ t8
      t31 = t0 ^ t23; t32 = t28 | t31; t33 = x0 & t24; t34 = x5 &~ t33; t35 = t16 ^ t34; t36 = x2 & t7
      t37 = t35 &~ t36; t38 = t37 | x3; t39 = t32 ^ t38; t40 = t5 &~ t25; t41 = t40 | t8; s2 = t39 ^ t41
      s3 = t26 ^ t35
  `,
  // S3: 56 gates
  `
      t0 = x0 ^ x3; t1 = x3 | t0; t5 = t1 &~ x2; t8 = x0 ^ t5; t2 = x2 &~ t1; t9 = t2 ^ t8; t10 = x1 & t9
      t11 = t8 ^ t10; t6 = x1 &~ t5; t12 = x4 & t11; t45 = x4 ^ t2; t13 = t1 ^ t12; t3 = x4 | t2
      t37 = x5 ^ t5; t14 = t13 &~ x5; t4 = t0 ^ t3; t7 = t4 ^ t6; t40 = t11 &~ x2; s0 = t7 ^ t14
      t19 = s0 &~ x1; t20 = t19 &~ x5; t16 = s0 &~ x0; t38 = t0 | t37; t17 = x5 &~ t16; t21 = t0 | t20
      t24 = t0 &~ t8; t18 = t8 ^ t17; t25 = t18 ^ t19; t22 = t21 &~ x1; t23 = t18 ^ t22; t26 = x1 ^ t25
      t27 = t26 &~ t17; t39 = x1 | t27; t33 = t12 | t23; t41 = t39 ^ t40; t34 = t9 ^ t33; t47 = t24 ^ t39
      t48 = x0 &~ t47; t42 = t38 ^ t41; t51 = t14 &~ t42; t43 = x4 | t42; t46 = t42 ^ t45; t35 = t34 &~ x0
      t28 = x3 &~ t27; t36 = t25 ^ t35; t50 = t7 &~ t36; t52 = x3 & t51; t53 = t50 ^ t52; t49 = t46 ^ t48
      t29 = t28 &~ x5; t54 = x1 &~ t53; t30 = t24 ^ t29; s3 = t49 ^ t54; t31 = x4 &~ t30; s1 = t23 ^ t31
      s2 = t36 ^ t43
  `,
  // S4: 35 gates
  `
      t0 = x2 ^ x4; t1 = x4 ^ x0; t2 = t0 & t1; t3 = t2 | x1; t4 = t0 ^ t3; t5 = x4 | t4; t6 = x1 &~ t4
      t7 = x2 &~ x4; t8 = t1 &~ t7; t9 = t6 ^ t8; t10 = t5 ^ t9; t11 = t10 & t7; t12 = t3 ^ t11
      t13 = t12 ^ x5; t14 = t4 ^ t13; t15 = t2 ^ t9; t16 = x3 | t15; t17 = t14 ^ t16; t18 = t5 ^ t17
      t19 = t9 & t12; t20 = t19 ^ x0; t21 = x3 &~ t20; t22 = t18 ^ t21; t23 = x3 &~ t9; t24 = t13 ^ t23
      t25 = x5 & t24; s1 = t22 ^ t25; s0 = s1 ^ t24; t28 = t17 ^ x1; t29 = x5 & t28; t30 = t10 ^ t29
      t31 = t6 ^ t20; t32 = t31 &~ x3; s2 = t30 ^ t32; s3 = s2 ^ t28
  `,
  // S5: 59 gates
  `
      t2 = x3 &~ x1; t0 = x1 ^ x3; t3 = x0 &~ t2; t1 = x0 ^ t0; t4 = x2 & t3; t5 = t1 ^ t4; t6 = x1 &~ t5
      t8 = x3 | t3; t7 = x2 ^ t6; t9 = t7 ^ t8; t15 = t5 & t9; t12 = x0 | t9; t10 = x5 & t9; t13 = t12 & x3
      t21 = x5 ^ t12; t16 = t2 ^ t15; t26 = t0 | t13; t14 = x0 ^ t13; t11 = t5 ^ t10; t17 = x5 &~ t16
      t18 = t14 ^ t17; t29 = t9 ^ t18; t34 = t29 &~ t0; t30 = x1 ^ t29; t19 = x4 | t18; t23 = t10 &~ t8
      t24 = x4 &~ t23; t22 = t18 | t21; t31 = x4 & t30; t25 = t22 ^ t24; t27 = t26 &~ t21; t35 = t7 & t25
      t42 = t1 & t34; s0 = t11 ^ t19; t28 = s0 ^ t27; t36 = t34 | t35; t32 = t28 ^ t31; t37 = t36 ^ t11
      t38 = t37 &~ t16; t39 = x4 | t38; t33 = t2 ^ t32; t46 = x0 &~ t32; t40 = t33 &~ t39; t53 = t6 ^ t46
      t45 = t36 ^ t39; s2 = t45 ^ t46; t41 = t40 &~ x2; t43 = t41 ^ t42; t48 = t26 & t37; s1 = t25 ^ t43
      t54 = s2 &~ t25; t50 = t3 ^ s1; t55 = x3 | t54; t49 = t8 ^ t48; t51 = t50 &~ x4; t56 = t53 ^ t55
      t52 = t49 ^ t51; t57 = x5 | t56; s3 = t52 ^ t57
  `,
  // S6: 53 gates
  `
      t0 = x0 ^ x5; t2 = x0 &~ x2; t3 = x1 ^ x5; t1 = x3 ^ t0; t4 = t2 ^ t3; t7 = x3 & x5; t14 = x2 &~ x1
      t5 = x0 & t4; t15 = x2 | t5; t9 = x5 | t1; t16 = t1 ^ t15; t17 = t14 ^ t16; t6 = t0 &~ t5
      t18 = t7 & t17; t10 = t9 &~ x2; t36 = t16 &~ x1; t8 = t7 &~ t6; t37 = t9 ^ t36; t11 = t8 ^ t10
      t12 = t11 | x4; t26 = t0 &~ t3; t48 = t26 ^ t6; t19 = t0 | t12; t13 = t1 ^ t12; t20 = t19 &~ t18
      t21 = x5 &~ t20; t22 = x2 ^ t21; t23 = x1 &~ t22; t25 = t22 &~ t5; t27 = t25 | t26; s0 = t13 ^ t23
      t28 = x3 & t27; t38 = t26 | s0; t39 = x0 &~ t38; t49 = x3 & t48; t40 = t37 ^ t39; t33 = t25 ^ t28
      t29 = t28 &~ t18; t30 = x1 ^ t29; t45 = s0 &~ x5; t50 = t19 ^ t49; t31 = x3 &~ t30; t32 = t4 ^ t31
      t41 = x4 & t40; t51 = t50 &~ x4; t34 = x4 | t33; t46 = x3 | t45; t43 = t27 &~ x0; t44 = t3 ^ t43
      s2 = t17 ^ t41; t47 = t44 ^ t46; s3 = t47 ^ t51; s1 = t32 ^ t34
  `,
  // S7: 56 gates
  `
      t18 = x3 & x4; t0 = x0 ^ x4; t10 = x3 ^ t0; t2 = x4 &~ x1; t3 = x0 &~ t2; t6 = x1 | t3; t4 = t3 | x2
      t19 = t4 & t18; t7 = t6 &~ x3; t9 = t7 &~ x0; t1 = x1 ^ t0; t11 = x4 &~ t10; t12 = t9 ^ t11
      t20 = x0 ^ t19; t13 = x0 | t12; t29 = x2 ^ t12; t14 = t13 &~ x2; t30 = x1 & t29; t15 = t12 ^ t14
      t21 = t3 ^ t18; t5 = t1 ^ t4; t27 = t1 ^ t14; t16 = x5 | t15; t8 = t5 ^ t7; s0 = t8 ^ t16
      t36 = t10 & t27; t22 = t21 &~ s0; t23 = x1 &~ t22; t24 = t20 ^ t23; t25 = x5 | t24; t48 = x5 &~ t30
      t26 = x5 ^ t25; t31 = t13 ^ t30; t40 = t9 ^ t26; t34 = t11 ^ t26; t28 = t26 ^ t27; t41 = x1 &~ t40
      t37 = t30 ^ t36; t49 = t10 ^ t48; t38 = x5 & t37; t35 = t10 ^ t34; t32 = x3 &~ t31; s1 = t28 ^ t32
      t42 = t7 &~ t41; t39 = t35 ^ t38; t43 = t39 ^ t42; t44 = x5 &~ t43; t45 = t21 ^ t44; t50 = t27 &~ t45
      t46 = x2 &~ t45; t51 = s1 ^ t50; t52 = x3 & t51; t53 = t41 ^ t52; t54 = x2 | t53; s3 = t49 ^ t54
      s2 = t39 ^ t46
  `,
  // S8: 56 gates
  `
      t5 = x4 ^ x5; t0 = x0 ^ x4; t1 = x5 | t0; t2 = x4 &~ t1; t6 = t0 & t5; t7 = x3 ^ t6; t8 = t6 | t7
      t3 = x2 | t2; t4 = t0 ^ t3; t9 = t4 ^ t8; t15 = t4 &~ x5; t11 = t0 &~ t9; t16 = x3 &~ t15
      t30 = t7 ^ t1; t12 = t11 &~ x2; t10 = x5 &~ t8; t33 = x4 & t3; t13 = t10 ^ t12; t14 = x4 | t13
      t17 = t14 ^ t16; t34 = t13 ^ t33; t18 = t17 &~ x1; t21 = t17 &~ t6; s0 = t9 ^ t18; t22 = x2 ^ t21
      t37 = x2 ^ t3; t20 = t16 ^ s0; t27 = x0 &~ t22; t23 = t20 ^ t22; t25 = t9 &~ t0; t40 = x5 &~ t9
      t35 = t4 &~ t34; t38 = x1 &~ t37; t24 = t23 &~ x2; t41 = t40 &~ x1; t26 = t24 ^ t25; t36 = t27 | t35
      t39 = t36 ^ t38; t31 = t30 ^ t24; t52 = x3 &~ t3; t42 = t34 ^ t41; t28 = t26 ^ t27; t29 = x1 &~ t28
      t43 = t42 &~ x3; s1 = t29 ^ t31; t45 = s1 &~ x3; s2 = t39 ^ t43; t46 = t4 ^ t45; t50 = t28 ^ t46
      t47 = t26 &~ s2; t51 = t50 &~ x5; t48 = x5 | t47; t49 = t46 ^ t48; t53 = t51 ^ t52; t54 = t53 &~ t38
      s3 = t49 ^ t54
  `,
]

/** S1 to S8. */
export const circuits: readonly (readonly DesGate[])[] = texts.map(parseDesCircuit)
