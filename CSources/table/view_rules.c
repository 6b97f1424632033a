/* Rules that records of several sections share, and the walk of TEXT. */
#include "view_walk.h"

#include "abi/limits.h"
#include "base/num.h"

/* Length of the character at `at`, 0 when it is not UTF-8 (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF) or NUL. */
static uint32_t character(const uint8_t *at, size_t left)
{
    uint8_t c = at[0];

    if (c < 0x80) {
        return c != 0;
    }
    if (c < 0xc2 || c > 0xf4) {
        return 0;
    }
    if (c < 0xe0) {
        return left >= 2 && (at[1] & 0xc0) == 0x80 ? 2 : 0;
    }
    if (left < 3 || (at[1] & 0xc0) != 0x80 || (at[2] & 0xc0) != 0x80) {
        return 0;
    }
    if (c < 0xf0) {
        return (c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) ? 0 : 3;
    }
    if (left < 4 || (at[3] & 0xc0) != 0x80) {
        return 0;
    }
    return (c == 0xf0 && at[1] < 0x90) || (c == 0xf4 && at[1] > 0x8f) ? 0 : 4;
}

/* Whether eight bytes are all ASCII and none is NUL. */
static bool plain_word(const uint8_t *at)
{
    const uint64_t ones = 0x0101010101010101ULL, tops = 0x8080808080808080ULL;
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return ((word | (word - ones)) & tops) == 0;
}

bool view_check_all_text(struct view_walk *walk)
{
    struct view *view = walk->view;
    size_t size = view->counts[ABI_SECTION_TEXT];
    size_t at = view->_part;
    size_t stop = at + num_min_size(size - at, (size_t)walk->budget * 64);

    walk->budget -= (int64_t)((stop - at) / 64) + 1;
    while (at < stop) {
        if (stop - at >= 8 && plain_word(view->text + at)) {
            at += 8;
        } else {
            uint32_t length = character(view->text + at, size - at);

            walk->record = (uint32_t)at;
            if (!view_rule(walk, length > 0, ABI_REFUSAL_VALUE, "text is not UTF-8 without NUL")) {
                return false;
            }
            at += length;
        }
    }
    view->_part = at;
    return true;
}

static bool inside_character(const struct view *view, uint32_t at)
{
    return at < view->counts[ABI_SECTION_TEXT] && (view->text[at] & 0xc0) == 0x80;
}

bool view_check_text(struct view_walk *walk, struct abi_text text, const char *what)
{
    struct abi_ref ref = {text.at, text.len};

    return view_ref(walk, ref, ABI_SECTION_TEXT, what) &&
           view_rule(walk, text.len <= LIMIT_TEXT, ABI_REFUSAL_LIMIT, what) &&
           view_rule(walk,
                     !inside_character(walk->view, text.at) &&
                         !inside_character(walk->view, text.at + text.len),
                     ABI_REFUSAL_REFERENCE, what);
}

/* Classes of bytes, a bit each. */
enum {
    LINE = 1,    /* may stand in a field value */
    TOKEN = 2,   /* RFC 9110 5.6.2 */
    LOWER = 4,   /* not an upper-case letter */
    VISIBLE = 8, /* neither control nor blank */
    MARK = LINE | LOWER | VISIBLE,
    TCHAR = MARK | TOKEN,
};

static const uint8_t classes[256] = {
    [0 ... 0x08] = LOWER,
    [0x0a ... 0x1f] = LOWER,
    ['\t'] = LINE | LOWER,
    [' '] = LINE | LOWER,
    ['!'] = TCHAR,
    ['"'] = MARK,
    ['#' ... '\''] = TCHAR,
    ['(' ... ')'] = MARK,
    ['*' ... '+'] = TCHAR,
    [','] = MARK,
    ['-' ... '.'] = TCHAR,
    ['/'] = MARK,
    ['0' ... '9'] = TCHAR,
    [':' ... '@'] = MARK,
    ['A' ... 'Z'] = LINE | VISIBLE | TOKEN,
    ['[' ... ']'] = MARK,
    ['^' ... '`'] = TCHAR,
    ['a' ... 'z'] = TCHAR,
    ['{'] = MARK,
    ['|'] = TCHAR,
    ['}'] = MARK,
    ['~'] = TCHAR,
    [0x7f] = LOWER,
    [0x80 ... 0xff] = MARK, /* parts of characters beyond ASCII */
};

static bool check_class(struct view_walk *walk, struct abi_text text, uint8_t class,
                        const char *what)
{
    const uint8_t *at;
    uint8_t all = class;

    if (!view_check_text(walk, text, what)) {
        return false;
    }
    at = walk->view->text + text.at;
    walk->budget -= text.len / 64;
    for (uint32_t i = 0; i < text.len; i++) {
        all &= classes[at[i]];
    }
    return view_rule(walk, all == class, ABI_REFUSAL_VALUE, what);
}

bool view_check_line(struct view_walk *walk, struct abi_text text, const char *what)
{
    return check_class(walk, text, LINE, what);
}

bool view_check_token(struct view_walk *walk, struct abi_text text, bool optional, const char *what)
{
    return view_rule(walk, optional || text.len > 0, ABI_REFUSAL_VALUE, what) &&
           check_class(walk, text, TOKEN, what);
}

bool view_check_lower(struct view_walk *walk, struct abi_text text, const char *what)
{
    return check_class(walk, text, LOWER, what);
}

bool view_check_word(struct view_walk *walk, struct abi_text text, const char *what)
{
    return check_class(walk, text, VISIBLE, what);
}

bool view_check_path(struct view_walk *walk, struct abi_text text, const char *what)
{
    return check_class(walk, text, VISIBLE, what) &&
           view_rule(walk, text.len == 0 || walk->view->text[text.at] == '/', ABI_REFUSAL_VALUE,
                     what);
}

bool view_check_congestion(struct view_walk *walk, struct abi_text text)
{
    /* TCP_CA_NAME_MAX is 16 with its NUL. */
    return view_check_token(walk, text, true, "congestion control") &&
           view_rule(walk, text.len < 16, ABI_REFUSAL_VALUE, "congestion control");
}

static bool all_zero(const uint8_t *at, size_t size)
{
    uint8_t any = 0;

    for (size_t i = 0; i < size; i++) {
        any |= at[i];
    }
    return any == 0;
}

bool view_check_address(struct view_walk *walk, const struct abi_address *address)
{
    bool ip4 = address->family == ABI_FAMILY_IP4;
    bool ip = ip4 || address->family == ABI_FAMILY_IP6;
    bool local = address->family == ABI_FAMILY_UNIX;
    /* sun_path has 108 bytes with its NUL. */
    uint32_t longest = local ? 107 : 0;

    return view_rule(walk, ip || local, ABI_REFUSAL_VALUE, "address family") &&
           view_rule(walk, address->_pad0 == 0, ABI_REFUSAL_PADDING, "address") &&
           view_rule(walk, (address->port != 0) == ip, ABI_REFUSAL_VALUE, "port") &&
           view_rule(walk, address->mode <= (local ? 0777u : 0u), ABI_REFUSAL_VALUE, "mode") &&
           view_rule(walk,
                     all_zero(address->ip + (ip4 ? 4 : 0), ip4  ? 12
                                                           : ip ? 0
                                                                : 16),
                     ABI_REFUSAL_PADDING, "address bytes") &&
           view_rule(walk, address->path.len <= longest && (address->path.len > 0) == local,
                     ABI_REFUSAL_VALUE, "socket file name") &&
           view_check_path(walk, address->path, "socket file name");
}

bool view_check_splits(struct view_walk *walk, struct abi_ref splits)
{
    uint64_t total = 0;

    if (!view_ref(walk, splits, ABI_SECTION_SPLIT, "splits") ||
        !view_rule(walk, splits.count > 0 && splits.count <= LIMIT_SPLITS, ABI_REFUSAL_LIMIT,
                   "number of splits")) {
        return false;
    }
    walk->budget -= splits.count / 8;
    for (uint32_t i = 0; i < splits.count; i++) {
        total += walk->view->splits[splits.at + i].weight;
    }
    return view_rule(walk, total == ABI_SPLIT_TOTAL, ABI_REFUSAL_VALUE,
                     "splits do not add up to ABI_SPLIT_TOTAL");
}

bool view_own_range(struct view_walk *walk, struct abi_ref ref, const char *what)
{
    if (ref.count == 0) {
        return true;
    }
    if (!view_rule(walk, ref.at >= walk->view->_watermark, ABI_REFUSAL_ORDER, what)) {
        return false;
    }
    walk->view->_watermark = (uint64_t)ref.at + ref.count;
    return true;
}
