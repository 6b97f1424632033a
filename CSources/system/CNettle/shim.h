#include <nettle/curve25519.h>
