# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# VMDK_CHECK_CFLAGS(VARIABLE, FLAGS)
# ----------------------------------
# Set VARIABLE to those of FLAGS that the compiler knows.
AC_DEFUN([VMDK_CHECK_CFLAGS], [
  $1=
  vmdk_save_CFLAGS="$CFLAGS"
  for vmdk_flag in $2; do
    AC_MSG_CHECKING([whether $CC knows $vmdk_flag])
    CFLAGS="$vmdk_save_CFLAGS -Werror $vmdk_flag"
    AC_COMPILE_IFELSE([AC_LANG_SOURCE([[int vmdk_dummy;]])],
      [AC_MSG_RESULT([yes])
       AS_VAR_APPEND([$1], [" $vmdk_flag"])],
      [AC_MSG_RESULT([no])])
  done
  CFLAGS="$vmdk_save_CFLAGS"
])

# VMDK_REGISTER_MACRO_CFLAGS
# --------------------------
# Add to PLUGIN_WARN_CFLAGS what keeps NBDKIT_REGISTER_PLUGIN from being warned
# about: it defines a function without a prototype, and some compilers look
# into the macros of system headers.
AC_DEFUN([VMDK_REGISTER_MACRO_CFLAGS], [
  AC_MSG_CHECKING([whether $CC warns about NBDKIT_REGISTER_PLUGIN])
  vmdk_save_CFLAGS="$CFLAGS"
  CFLAGS="$CFLAGS $NBDKIT_CFLAGS -Werror -Wmissing-prototypes"
  AC_COMPILE_IFELSE(
    [AC_LANG_SOURCE([[
#include <stdint.h>
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
static struct nbdkit_plugin plugin = { .name = "vmdk" };
NBDKIT_REGISTER_PLUGIN (plugin)
]])],
    [AC_MSG_RESULT([no])],
    [AC_MSG_RESULT([yes])
     PLUGIN_WARN_CFLAGS="$PLUGIN_WARN_CFLAGS -Wno-missing-prototypes"])
  CFLAGS="$vmdk_save_CFLAGS"
])

# VMDK_VERSION_SCRIPT
# -------------------
# Set the conditional HAVE_VERSION_SCRIPT: whether the linker takes one.
AC_DEFUN([VMDK_VERSION_SCRIPT], [
  AC_CACHE_CHECK([whether the linker takes a version script],
    [vmdk_cv_version_script],
    [AS_ECHO(['{ global: plugin_init; local: *; };']) > conftest.syms
     vmdk_save_CFLAGS="$CFLAGS"
     CFLAGS="$CFLAGS -fPIC -shared -Wl,--version-script=conftest.syms"
     AC_LINK_IFELSE(
       [AC_LANG_SOURCE([[
int plugin_init (void);
int plugin_init (void) { return 0; }
]])],
       [vmdk_cv_version_script=yes],
       [vmdk_cv_version_script=no])
     CFLAGS="$vmdk_save_CFLAGS"
     rm -f conftest.syms])
  AM_CONDITIONAL([HAVE_VERSION_SCRIPT],
    [test "x$vmdk_cv_version_script" = xyes])
])

# VMDK_PROG_NBDKIT
# ----------------
# Set NBDKIT to the real nbdkit program, or to "no".  The program itself is
# asked for its path, so that the answer is right also where a wrapper script
# comes first in PATH.
AC_DEFUN([VMDK_PROG_NBDKIT], [
  AC_MSG_CHECKING([for the nbdkit program])
  vmdk_path="$PATH$PATH_SEPARATOR/usr/sbin$PATH_SEPARATOR/sbin"
  NBDKIT=`PATH="$vmdk_path" nbdkit --dump-config 2>/dev/null |
    $SED -n 's/^binary=//p'`
  AS_IF([test ! -x "$NBDKIT"], [NBDKIT=no])
  AC_MSG_RESULT([$NBDKIT])
  AC_SUBST([NBDKIT])
])

# VMDK_PROG_PYTHON
# ----------------
# Set PYTHON to a python3 that has libnbd's module, or to "no".  That module
# belongs to the distribution's own python3, which need not be first in PATH.
AC_DEFUN([VMDK_PROG_PYTHON], [
  AC_ARG_VAR([PYTHON], [python3 with libnbd's module (for the tests)])
  AC_MSG_CHECKING([for a python3 with libnbd's module])
  vmdk_pythons="${PYTHON:-/usr/bin/python3 python3}"
  PYTHON=no
  for vmdk_python in $vmdk_pythons; do
    AS_IF([$vmdk_python -c 'import nbd' >/dev/null 2>&1],
      [PYTHON="$vmdk_python"
       break])
  done
  AC_MSG_RESULT([$PYTHON])
])
