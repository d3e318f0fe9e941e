/* merging COMMAND...: has the process asked for its memory to be merged (KSM), then runs the command, which inherits it.
 * PR_SET_MEMORY_MERGE of prctl(2) came with Linux 6.4. cc -static -O2 -o merging merging.c */
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { SET_MEMORY_MERGE = 67, GET_MEMORY_MERGE = 68 };

int main(int count, char **words) {
    if (count < 2) {
        fprintf(stderr, "usage: merging COMMAND...\n");
        return 2;
    }
    if (prctl(SET_MEMORY_MERGE, 1, 0, 0, 0) != 0) {
        perror("merging: PR_SET_MEMORY_MERGE, since Linux 6.4");
        return 126;
    }
    if (prctl(GET_MEMORY_MERGE, 0, 0, 0, 0) != 1) {
        fprintf(stderr, "merging: the kernel took the request and does not follow it\n");
        return 126;
    }
    execvp(words[1], words + 1);
    perror(words[1]);
    return 127;
}
