# Builds one C program from all rooms of the data plane with the toolchain's clang, outside SwiftPM:
# for unit tests and fuzzers, which want sanitizers and no Swift packages. Used by tools/cunit and
# tools/fuzz through make variables:
#
#   OUT      folder for everything that is built
#   PROGRAM  the program's name in OUT
#   SOURCES  its own sources besides those of the rooms
#   EXTRA    flags for compiling and linking (sanitizers, optimisation)
#   ROOMS    the rooms, if not all
#   DEFINES  MESH_DEBUG, if not said otherwise
#
# The warnings are those of Package.swift.
ROOMS    ?= base abi shm wire http2 compress core tls ring table proxy worker
DEFINES  ?= -DMESH_DEBUG
WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Wmissing-prototypes \
            -Wstrict-prototypes -Wimplicit-fallthrough -Werror -Wno-c23-extensions -Wno-gnu
INCLUDES := $(ROOMS:%=-ICSources/%/include) -ICSources -ITests/CUnit -I$(OUT)/gen
PACKAGES := openssl hogweed liburing libnghttp2 zlib libbrotlienc libbrotlidec libzstd
LIBS     := $(shell pkg-config --libs $(PACKAGES))
CFLAGS   := -std=gnu17 -g -march=x86-64-v2 -D_GNU_SOURCE $(DEFINES) -fvisibility=hidden \
            $(shell pkg-config --cflags $(PACKAGES)) $(WARNINGS) $(INCLUDES) $(EXTRA)
ROOM_OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(foreach room,$(ROOMS),$(wildcard CSources/$(room)/*.c)))
OWN_OBJECTS  := $(SOURCES:%.c=$(OUT)/%.o)

# Through an archive, so that a program gets only what it uses of the rooms.
$(OUT)/$(PROGRAM): $(OWN_OBJECTS) $(OUT)/rooms.a
	@$(CC) -fuse-ld=lld $(EXTRA) $^ $(LIBS) -lpthread -o $@

$(OUT)/rooms.a: $(ROOM_OBJECTS)
	@rm -f $@
	@$(AR) rcs $@ $^

# flags.txt changes when a flag does, so that objects are never mixed.
$(OUT)/%.o: %.c $(OUT)/flags.txt
	@mkdir -p $(@D)
	@echo "  $<"
	@$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(OUT)/flags.txt: force
	@mkdir -p $(OUT)
	@echo '$(CC) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CFLAGS)' > $@

.PHONY: force
-include $(ROOM_OBJECTS:.o=.d) $(OWN_OBJECTS:.o=.d)
