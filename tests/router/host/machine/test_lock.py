import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from router.errors import DeviceError
from router.host.machine.lock import instance_lock

HOLD = (
    "import sys, time\nfrom pathlib import Path\n"
    "from router.host.machine.lock import instance_lock\n"
    "with instance_lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
)


def test_a_missing_state_directory_is_made(tmp_path: Path) -> None:
    with instance_lock(tmp_path / "var" / "postroad"):
        assert (tmp_path / "var" / "postroad").stat().st_mode & 0o777 == 0o700


def test_a_directory_others_may_write_to_is_refused(tmp_path: Path) -> None:
    for mode in (0o720, 0o702):
        tmp_path.chmod(mode)
        with pytest.raises(DeviceError, match=f"^other users may write to .* {tmp_path};"):
            instance_lock(tmp_path).__enter__()


@pytest.mark.net
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, -1)
    with pytest.raises(DeviceError, match=f"^state directory {tmp_path} belongs to another user$"):
        instance_lock(tmp_path).__enter__()


def test_a_second_instance_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    sentence = f"a router already runs with state directory {tmp_path} (process {os.getpid()})"
    with instance_lock(tmp_path), pytest.raises(DeviceError, match=f"^{re.escape(sentence)}$"):
        instance_lock(tmp_path).__enter__()


def test_it_is_free_again_after_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with instance_lock(tmp_path):
            pass


def test_kill_minus_9_frees_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DeviceError, match=f"process {holder.pid}"):
            instance_lock(tmp_path).__enter__()
        holder.send_signal(signal.SIGKILL)
    with instance_lock(tmp_path):
        pass


def test_an_unusable_directory_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sentence = f"^cannot use state directory {tmp_path}/file/state: Not a directory$"
    with pytest.raises(DeviceError, match=sentence):
        instance_lock(tmp_path / "file" / "state").__enter__()
