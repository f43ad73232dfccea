#!/usr/bin/env bash
# Makes the pictures of the terminal in this folder from the real program: make.sh [PROGRAM]
# Needs tmux and python3. Without PROGRAM it builds ratos-flash from this checkout.
# The program runs in a tmux window of 80 columns; tmux is the terminal, and terminal.py draws what tmux shows.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
for tool in tmux python3; do
  command -v "$tool" >/dev/null || { echo "make.sh: $tool is not installed: sudo apt-get install $tool" >&2 && exit 1; }
done
program=${1:-}
if [ -z "$program" ]; then
  dotnet build "$here/../../src/RatOS.Flash.Agent" -v quiet --nologo
  program=$here/../../src/RatOS.Flash.Agent/bin/Debug/net10.0/ratos-flash
fi
scratch=$(mktemp -d)
mkdir "$scratch/bin"
ln -s "$(realpath "$program")" "$scratch/bin/ratos-flash"
name=none
tmux() { command tmux -L "ratos-flash-$$-$name" -f /dev/null "$@"; }
trap 'tmux kill-server 2>/dev/null || true; rm -rf "$scratch"' EXIT

# shows TEXT: waits until the window shows it
shows() {
  local i
  for ((i = 0; i < 600; i++)); do
    if tmux capture-pane -p -t picture | grep -qE -- "$1"; then return; fi
    sleep 0.1
  done
  echo "make.sh: the window never showed '$1'" >&2
  tmux capture-pane -p -t picture >&2
  exit 1
}

# picture NAME ROWS TITLE UNTIL COMMAND...: each command is typed at a prompt; the picture is taken when UNTIL is on the screen
picture() {
  local rows=$2 title=$3 until=$4 command
  name=$1
  shift 4
  # A printer of its own for each picture, and no other variables than a login would set.
  tmux new-session -d -s picture -x 80 -y "$rows" \
    env -i "PATH=$scratch/bin:/usr/bin:/bin" "HOME=$scratch" TERM=screen-256color COLORTERM=truecolor LANG=C.UTF-8 \
    "DOTNET_ROOT=${DOTNET_ROOT:-}" "XDG_STATE_HOME=$scratch/$name" 'PS1=\[\e[32m\]$\[\e[0m\] ' bash --norc --noprofile
  tmux set-option -t picture status off
  for command; do
    shows '^\$ *$'
    tmux send-keys -t picture -l "$command"
    tmux send-keys -t picture Enter
  done
  shows "$until"
  tmux capture-pane -e -p -t picture | python3 "$here/terminal.py" "$title" >"$here/$name.svg"
  tmux kill-server
  echo "$name.svg"
}

picture flash 30 "ratos-flash flash octopus --virtual" 'OK: ' "ratos-flash flash octopus --virtual --pace 4"
picture boards 34 "ratos-flash boards --scenario voron" 'octopus-pro' "ratos-flash boards --scenario voron"
