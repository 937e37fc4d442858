#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A virtual machine is served: its disks, in its order, by the names that it has
# for them.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

mkdir "$DIR/sub" "$TMP/sub"
make_disk system monolithicSparse
make_disk 'with space' twoGbMaxExtentSparse --extent-size=512K
make_disk sub/data monolithicFlat --seed=2
make_disk a monolithicSparse --seed=3
mv "$DIR/a.vmdk" "$DIR/a\"b.vmdk"
make_disk nvme streamOptimized
make_disk win monolithicSparse --seed=4
make_child snapshot monolithicSparse system
: >"$DIR/cd.iso"

cat >"$DIR/guest.vmx" <<'END'
#!/usr/bin/vmware
.encoding = "UTF-8"
config.version = "8"
virtualHW.version = "14"
displayName = "guest"
ide1:0.present = "TRUE"
ide1:0.fileName = "cd.iso"
ide1:0.deviceType = "cdrom-image"
ide0:0.present = "TRUE"
ide0:0.fileName = "a|22b.vmdk"
sata0.present = "TRUE"
sata0:1.present = "TRUE"
sata0:1.fileName = "with space.vmdk"
scsi1.present = "TRUE"
scsi1:0.present = "TRUE"
scsi1:0.fileName = "sub/data.vmdk"
scsi1:0.deviceType = "scsi-hardDisk"
scsi1:1.present = "FALSE"
scsi1:1.fileName = "none.vmdk"
nvme0:0.present = "TRUE"
nvme0:0.fileName = "nvme.vmdk"
scsi0.present = "TRUE"
scsi0:12.present = "TRUE"
scsi0:12.fileName = "missing.vmdk"
scsi0:3.present = "TRUE"
scsi0:3.fileName = "C:\VMs\guest\win.vmdk"
scsi0:0.present = "TRUE"
scsi0:0.fileName = "snapshot.vmdk"
scsi0:0.mode = "persistent"
END

"$PYTHON" - <<'END'
import os
from exports import Exports, load

folder, raws = os.environ["DIR"], os.environ["RAWS"]
disks = {"snapshot.vmdk": "snapshot", "C:\\VMs\\guest\\win.vmdk": "win",
         "missing.vmdk": None, "sub/data.vmdk": "sub-data",
         "with space.vmdk": "with space", "nvme.vmdk": "nvme",
         'a"b.vmdk': "a"}
os.rename(raws + "/sub/data.raw", raws + "/sub-data.raw")
for options in ["-r"], []:
    server = Exports("file=" + folder + "/guest.vmx", options=options)
    assert server.names() == list(disks), server.names()
    for name, raw in disks.items():
        if raw:
            h = server.connect(name)
            content = load(f"{raws}/{raw}.raw")
            assert h.pread(len(content), 0) == content, name
            h.shutdown()
    server.refuses("missing.vmdk", "missing.vmdk: No such file")
    for name in ("", "system.vmdk", "none.vmdk", "cd.iso", "win.vmdk",
                 "data.vmdk", "./snapshot.vmdk", "guest.vmx", "scsi0:0",
                 "../dir/snapshot.vmdk", 'a|22b.vmdk', "sub\\data.vmdk"):
        server.refuses(name, "" if name == "" else "there is no disk that is")
    server.wait_until_open(folder, [])
    server.stop()

# Some of them.
server = Exports("file=" + folder + "/guest.vmx", "export=*a*.vmdk",
                 options=["-r"])
assert server.names() == ["snapshot.vmdk", "sub/data.vmdk",
                          "with space.vmdk", 'a"b.vmdk']
server.refuses("nvme.vmdk", "does not match")
server.stop()
END

# The only disk is the default; and the word "file=" can be left out.
printf 'scsi0:0.present = "TRUE"\nscsi0:0.fileName = "nvme.vmdk"\n' \
  >"$DIR/One.VMX"
rm -f "$OUT.raw"
# shellcheck disable=SC2016
(cd "$DIR" &&
  nbdkit -r -U - vmdk One.VMX --run 'nbdcopy "$uri" "$OUT.raw"')
cmp "$OUT.raw" "$TMP/nvme.raw"
