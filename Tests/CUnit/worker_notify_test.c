#include "worker/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cunit.h"

/* A bound socket whose name is in NOTIFY_SOCKET. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(address.sun_path, name, length);
    if (name[0] == '@') {
        address.sun_path[0] = '\0';
    }
    CHECK(bind(fd, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) == 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void hears(int fd, const char *expected)
{
    char heard[64] = "";

    CHECK_INT(recv(fd, heard, sizeof(heard) - 1, 0), (int)strlen(expected));
    CHECK(strcmp(heard, expected) == 0);
}

TEST(a_service_manager_is_told)
{
    char name[64];
    char text[64];
    int fd;

    snprintf(name, sizeof(name), "/tmp/notify-test-%d", (int)getpid());
    fd = listen_at(name);
    notify_ready();
    hears(fd, "READY=1\n");
    notify_stopping();
    hears(fd, "STOPPING=1\n");
    close(fd);
    unlink(name);
    notify_ready(); /* nobody is there: a line in the log, nothing else */
    snprintf(name, sizeof(name), "@notify-test-%d", (int)getpid());
    fd = listen_at(name);
    notify_main_pid(getpid());
    snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1\n", (int)getpid());
    hears(fd, text);
    close(fd);
    unsetenv("NOTIFY_SOCKET");
}

/* Nothing that is no address reaches somebody who listens elsewhere, or ends the process. */
TEST(without_one_nothing_is_said)
{
    const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    char name[128] = "";
    char heard;
    int fd;

    snprintf(name, sizeof(name), "@notify-test-%d", (int)getpid());
    fd = listen_at(name);
    unsetenv("NOTIFY_SOCKET");
    notify_ready();
    for (size_t i = 0; i < 3; i++) {
        setenv("NOTIFY_SOCKET", (const char *const[]){"", "/", "relative"}[i], 1);
        notify_ready();
    }
    memset(name, 'a', most + 1);
    name[0] = '@';
    setenv("NOTIFY_SOCKET", name, 1);
    notify_ready();
    CHECK_INT(recv(fd, &heard, 1, 0), -1);
    close(fd);
    unsetenv("NOTIFY_SOCKET");
}
