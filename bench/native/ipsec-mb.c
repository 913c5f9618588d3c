/*
 * The native limit of a suite: intel-ipsec-mb over bursts like those of the card's benchmark.
 *
 *   ipsec-mb SUITE out|in 64|576|1400|imix MILLISECONDS
 *
 * prints two medians, million packets a second each: with 256-bit vectors (AVX2), and with all that this processor
 * has (AVX-512, SHA extensions). 0 = no such suite.
 *
 * A burst is 128 packets (256 for the mixture): payloads copied, encrypted and authenticated, then flushed. No
 * headers, padding or random IVs: what stands here is a little more than a whole ESP packet can reach.
 */
#include <intel-ipsec-mb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST 256
#define SLOT 1664 /* an odd number of cache lines */
#define HEAD 32   /* ESP header and IV in front of the payload */
#define ROUNDS 4096

enum kind { K_AES, K_3DES, K_NULL, K_GCM, K_CHACHA };

struct suite {
    const char *name;
    enum kind kind;
    int key_bytes, md5;
};

static const struct suite suites[] = {
    {"aes-128+sha1", K_AES, 16, 0}, {"3des+sha1", K_3DES, 24, 0},    {"3des+md5", K_3DES, 24, 1},
    {"null+md5", K_NULL, 0, 1},     {"null+sha1", K_NULL, 0, 0},     {"aes-gcm-128", K_GCM, 16, 0},
    {"ah+sha1", K_NULL, 0, 0},      {"chacha20-poly1305", K_CHACHA, 32, 0},
};

static uint8_t source[MOST * SLOT] __attribute__((aligned(64)));
static uint8_t work[MOST * SLOT] __attribute__((aligned(64)));
static uint8_t tags[MOST * 32];
static DECLARE_ALIGNED(uint32_t enc_keys[60], 16);
static DECLARE_ALIGNED(uint32_t dec_keys[60], 16);
static DECLARE_ALIGNED(uint8_t ipad[20], 16);
static DECLARE_ALIGNED(uint8_t opad[20], 16);
static DECLARE_ALIGNED(uint64_t des_keys[3][16], 16);
static const void *des_pointers[3] = {des_keys[0], des_keys[1], des_keys[2]};
static struct gcm_key_data gcm_key __attribute__((aligned(64)));
static uint8_t key[32];
static int lengths[MOST];

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void set_keys(IMB_MGR *m, const struct suite *s)
{
    uint8_t block[64], padded[64];
    for (unsigned i = 0; i < sizeof key; i++) key[i] = rand();
    for (unsigned i = 0; i < sizeof block; i++) block[i] = i < 20 ? rand() : 0;
    for (int i = 0; i < 64; i++) padded[i] = block[i] ^ 0x36;
    if (s->md5) IMB_MD5_ONE_BLOCK(m, padded, ipad); else IMB_SHA1_ONE_BLOCK(m, padded, ipad);
    for (int i = 0; i < 64; i++) padded[i] = block[i] ^ 0x5c;
    if (s->md5) IMB_MD5_ONE_BLOCK(m, padded, opad); else IMB_SHA1_ONE_BLOCK(m, padded, opad);
    if (s->kind == K_AES) IMB_AES_KEYEXP_128(m, key, enc_keys, dec_keys);
    if (s->kind == K_GCM) IMB_AES128_GCM_PRE(m, key, &gcm_key);
    for (int i = 0; s->kind == K_3DES && i < 3; i++) IMB_DES_KEYSCHED(m, des_keys[i], key + 8 * i);
}

/* One packet: `bytes` of payload behind 8 bytes of header and the IV. */
static void fill(IMB_JOB *job, const struct suite *s, int out, uint8_t *packet, int bytes, uint8_t *tag)
{
    int covered = s->kind == K_NULL ? bytes : bytes & (s->kind == K_3DES ? ~7 : ~15);
    uint8_t *payload = packet + HEAD;
    memset(job, 0, sizeof *job);
    job->src = packet;
    job->dst = payload;
    job->iv = payload - 16;
    job->iv_len_in_bytes = 16;
    job->cipher_direction = out ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    job->chain_order = out ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job->enc_keys = enc_keys;
    job->dec_keys = dec_keys;
    job->key_len_in_bytes = s->key_bytes;
    job->cipher_start_src_offset_in_bytes = HEAD;
    job->msg_len_to_cipher_in_bytes = covered;
    job->auth_tag_output = tag;
    job->auth_tag_output_len_in_bytes = 12;
    job->hash_start_src_offset_in_bytes = 8;
    job->msg_len_to_hash_in_bytes = covered + HEAD - 8;
    job->hash_alg = s->md5 ? IMB_AUTH_MD5 : IMB_AUTH_HMAC_SHA_1;
    job->u.HMAC._hashed_auth_key_xor_ipad = ipad;
    job->u.HMAC._hashed_auth_key_xor_opad = opad;
    if (s->kind == K_AES) job->cipher_mode = IMB_CIPHER_CBC;
    if (s->kind == K_NULL) job->cipher_mode = IMB_CIPHER_NULL;
    if (s->kind == K_3DES) {
        job->cipher_mode = IMB_CIPHER_DES3;
        job->enc_keys = job->dec_keys = des_pointers;
        job->iv = payload - 8;
        job->iv_len_in_bytes = 8;
    }
    if (s->kind != K_GCM && s->kind != K_CHACHA) return;
    job->cipher_mode = s->kind == K_GCM ? IMB_CIPHER_GCM : IMB_CIPHER_CHACHA20_POLY1305;
    job->hash_alg = s->kind == K_GCM ? IMB_AUTH_AES_GMAC : IMB_AUTH_CHACHA20_POLY1305;
    job->iv_len_in_bytes = 12;
    job->auth_tag_output_len_in_bytes = 16;
    job->hash_start_src_offset_in_bytes = HEAD;
    job->msg_len_to_cipher_in_bytes = job->msg_len_to_hash_in_bytes = bytes;
    if (s->kind == K_GCM) {
        job->enc_keys = job->dec_keys = &gcm_key;
        job->u.GCM.aad = packet;
        job->u.GCM.aad_len_in_bytes = 8;
    } else {
        job->enc_keys = job->dec_keys = key;
        job->u.CHACHA20_POLY1305.aad = packet;
        job->u.CHACHA20_POLY1305.aad_len_in_bytes = 8;
    }
}

static void burst(IMB_MGR *m, const struct suite *s, int out, int count)
{
    for (int i = 0; i < count; i++) {
        memcpy(work + i * SLOT + HEAD, source + i * SLOT + HEAD, lengths[i]);
        fill(IMB_GET_NEXT_JOB(m), s, out, work + i * SLOT, lengths[i], tags + 32 * i);
        for (IMB_JOB *done = IMB_SUBMIT_JOB(m); done != NULL; done = IMB_GET_COMPLETED_JOB(m)) {
            if (done->status == IMB_STATUS_COMPLETED) continue;
            fprintf(stderr, "job refused: %s\n", imb_get_strerror(imb_get_errno(m)));
            exit(1);
        }
    }
    while (IMB_FLUSH_JOB(m) != NULL) {}
}

static int ascending(const void *a, const void *b)
{
    double d = *(const double *) a - *(const double *) b;
    return d < 0 ? -1 : d > 0;
}

static int set_lengths(const char *size)
{
    int imix = strcmp(size, "imix") == 0, count = imix ? 256 : 128;
    for (int i = 0; i < count; i++) {
        int place = i * 5 % 12;
        lengths[i] = imix ? (place < 7 ? 64 : place < 11 ? 576 : 1400) : atoi(size);
        if (lengths[i] < 16 || lengths[i] > SLOT - HEAD) exit(2);
    }
    return count;
}

/* Median packets a second of one manager. */
static double measure(IMB_MGR *m, const struct suite *s, int out, int count, double until)
{
    static double times[ROUNDS];
    int rounds = 0;
    set_keys(m, s);
    burst(m, s, out, count);
    for (double end = seconds() + until; seconds() < end && rounds < ROUNDS; rounds++) {
        double start = seconds();
        burst(m, s, out, count);
        times[rounds] = seconds() - start;
    }
    qsort(times, rounds, sizeof *times, ascending);
    return count / times[rounds / 2];
}

static void init_avx2(IMB_MGR *m)
{
    init_mb_mgr_avx2(m);
}

static void init_widest(IMB_MGR *m)
{
    init_mb_mgr_auto(m, NULL);
}

/* With the SHA extensions or with vectors: whichever is faster here. */
static double best_of(const struct suite *s, int out, int count, double until, void (*init)(IMB_MGR *))
{
    double best = 0;
    for (int i = 0; i < 2; i++) {
        IMB_MGR *m = alloc_mb_mgr(i == 0 ? 0 : IMB_FLAG_SHANI_OFF);
        if (m == NULL) exit(1);
        init(m);
        double found = measure(m, s, out, count, until);
        if (found > best) best = found;
        free_mb_mgr(m);
    }
    return best;
}

int main(int argc, char **argv)
{
    const struct suite *s = suites, *end = suites + sizeof suites / sizeof *suites;
    if (argc != 5) return 2;
    while (s != end && strcmp(s->name, argv[1]) != 0) s++;
    if (s == end) return puts("0 0"), 0;
    int out = strcmp(argv[2], "out") == 0, count = set_lengths(argv[3]);
    double until = atof(argv[4]) / 4000;
    for (unsigned i = 0; i < sizeof source; i++) source[i] = rand();
    printf("%.4f %.4f\n", best_of(s, out, count, until, init_avx2) / 1e6,
           best_of(s, out, count, until, init_widest) / 1e6);
    return 0;
}
