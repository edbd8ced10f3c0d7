/* Lines of text out, options in. Runs in either ring; keeps no state. */
#include "stress.h"

static void add(struct line *line, char letter)
{
    if (line->bytes < sizeof(line->text))
        line->text[line->bytes++] = letter;
}

void line_word(struct line *line, const char *word)
{
    while (*word)
        add(line, *word++);
}

void line_number(struct line *line, const char *name, u64 value)
{
    char digits[20];
    u32 count = 0;
    add(line, ' ');
    line_word(line, name);
    add(line, '=');
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count)
        add(line, digits[--count]);
}

void line_end(struct line *line)
{
    if (line->bytes == sizeof(line->text))
        line->bytes--;
    add(line, '\n');
}

static const char *after(const char *text, const char *prefix)
{
    while (*prefix)
        if (*text++ != *prefix++)
            return 0;
    return *text == '=' ? text + 1 : 0;
}

bool option(const char *command_line, const char *name, u64 *value)
{
    bool word_starts = 1;
    for (const char *at = command_line; *at; at++) {
        const char *digits = word_starts ? after(at, name) : 0;
        if (digits && *digits >= '0' && *digits <= '9') {
            for (*value = 0; *digits >= '0' && *digits <= '9'; digits++)
                *value = *value * 10 + (u64)(*digits - '0');
            return *digits == ' ' || *digits == 0;
        }
        word_starts = *at == ' ';
    }
    return 0;
}
