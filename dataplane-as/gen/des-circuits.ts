/**
 * Circuits of the eight DES S-boxes (FIPS 46-3), found by des-search.ts: 445 gates in all, 55.63 on average.
 * How to read them is in des-gates.ts. Each line names the command that found the circuit; "from" means that
 * it went on, with `improve`, from what the commands before had found.
 */
import { type DesGate, parseDesCircuit } from './des-gates.ts'

const texts = [
  // S1: 58 gates; provisional
  `
      t1 = x3 & x4; t0 = x1 ^ x4; t4 = x5 ^ t0; t5 = x3 &~ t4; t9 = x1 | t1; t6 = x1 ^ t5; t2 = x5 &~ t1
      t7 = x2 &~ t6; t11 = t0 | t7; t3 = t0 ^ t2; t12 = t11 &~ t4; t10 = t6 &~ t2; t8 = t3 ^ t7
      t13 = x4 | t12; t14 = t10 ^ t13; t15 = t14 &~ x2; t16 = t9 ^ t15; t17 = x0 &~ t16; t19 = t4 &~ t17
      t20 = x2 &~ t19; s0 = t8 ^ t17; t21 = t3 ^ t20; t22 = x3 ^ t21; t23 = t16 ^ t22; t24 = t23 &~ x4
      t25 = t21 ^ t24; t27 = t24 &~ t7; t28 = x1 | t27; t26 = t22 &~ t7; t36 = t5 | t26; t29 = t28 &~ t26
      t30 = t11 &~ t29; t31 = t30 &~ x3; t32 = x5 ^ t31; t33 = t29 | t32; t34 = t33 &~ x0; t37 = x2 ^ t31
      s1 = t25 ^ t34; t42 = t20 ^ t37; t38 = x0 | t37; t39 = t36 ^ t38; t40 = t19 | t38; t48 = s1 ^ t39
      t43 = t22 & t42; t49 = s0 ^ t48; t50 = t49 ^ t28; t52 = t4 | t50; t41 = t40 &~ t7; t44 = x0 &~ t43
      t45 = t41 ^ t44; t51 = s0 ^ t45; t53 = t52 &~ t39; t54 = x5 | t53; t55 = t51 ^ t54; t56 = x4 & t55
      s3 = t50 ^ t56; t46 = x4 & t45; s2 = t39 ^ t46
  `,
  // S2: 52 gates; provisional
  `
      t0 = x5 &~ x1; t1 = x4 ^ t0; t2 = x1 | x4; t3 = x3 & t2; t4 = t1 ^ t3; t5 = x1 &~ x5; t6 = x2 &~ t5
      t7 = t4 ^ t6; t8 = t5 | t7; t9 = t8 &~ x5; t11 = x4 | t9; t12 = x2 & t11; t23 = x1 &~ t12
      t10 = t2 ^ t9; t13 = t7 ^ t12; t14 = t1 &~ t13; t15 = t5 & t14; t16 = x0 | t15; t17 = t10 ^ t16
      t18 = t17 ^ t12; t19 = x0 & t18; t21 = t4 ^ t16; t22 = t21 ^ t14; s0 = t7 ^ t19; t28 = x4 &~ t21
      t24 = t22 ^ t23; t25 = t11 &~ t18; t26 = x3 ^ t25; t27 = t2 ^ t26; t29 = t27 ^ t28; t30 = x5 & t29
      t41 = x2 ^ t24; t31 = x3 | t30; t34 = t7 &~ t1; s1 = t24 ^ t31; t33 = t1 | t18; t35 = x5 &~ t34
      t36 = t33 ^ t35; t37 = x0 & t36; s3 = t37 ^ t29; t39 = t26 & s3; t44 = t25 | s3; t40 = t36 ^ t39
      t42 = t41 &~ x5; t45 = t44 &~ t39; t46 = t36 | t45; t47 = t17 ^ t46; t48 = t47 &~ x2; t49 = t45 ^ t48
      t43 = t40 ^ t42; t50 = x4 | t49; s2 = t43 ^ t50
  `,
  // S3: 56 gates; provisional
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
  // S4: 55 gates; provisional
  `
      t4 = x1 ^ x5; t3 = x5 &~ x1; t21 = x0 ^ x3; t0 = x1 ^ x4; t5 = x0 ^ x5; t1 = t0 &~ x5; t6 = t4 | t5
      t33 = t0 & t4; t13 = t1 ^ t3; t7 = x4 & t6; t2 = x0 ^ x4; t14 = t5 &~ t13; t8 = t3 ^ t7; t9 = x3 &~ t8
      t10 = t2 ^ t9; t11 = t1 ^ t10; t15 = x3 & t14; t12 = t7 &~ x0; t16 = t13 ^ t15; t17 = t12 ^ t16
      t18 = t17 &~ x2; s0 = t11 ^ t18; t20 = x5 ^ s0; t27 = t20 &~ x4; t44 = t13 | t27; t22 = x4 &~ t21
      t35 = t10 | t22; t39 = t2 ^ t20; t36 = x1 &~ t35; t23 = x1 | t22; t29 = t23 ^ t0; t28 = x3 &~ t27
      t24 = t20 ^ t23; t25 = x3 &~ x0; t30 = t28 ^ t29; t26 = t24 ^ t25; t51 = x1 &~ t21; t31 = x2 &~ t30
      t45 = x0 ^ t44; s1 = t26 ^ t31; t34 = x0 | t29; t40 = s1 | t39; t46 = x3 &~ t33; t41 = x5 | t40
      t37 = t34 ^ t36; t38 = t37 &~ t33; t42 = t38 ^ t41; t53 = t37 &~ x2; t47 = t45 ^ t46; t43 = x2 & t42
      s2 = t43 ^ t47; t49 = t26 ^ s2; t50 = s0 ^ t49; t52 = t50 ^ t51; s3 = t52 ^ t53
  `,
  // S5: 59 gates; provisional
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
  // S6: 53 gates; provisional
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
  // S7: 56 gates; provisional
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
  // S8: 56 gates; provisional
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
