# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# VMDK_SANITIZERS
# ---------------
# --enable-sanitizers[=LIST].  Sets SANITIZER_CFLAGS, which go into every
# compiler and linker command; and SANITIZER_PRELOAD, the compiler's shared
# runtime libraries: nbdkit itself is not built with a sanitizer, so the nbdkit
# wrapper script loads them before the plugin.
AC_DEFUN([VMDK_SANITIZERS], [
  AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers@<:@=LIST@:>@],
      [build with these sanitizers (default LIST: address,undefined)])],
    [], [enable_sanitizers=no])
  AS_IF([test "x$enable_sanitizers" = xyes],
    [enable_sanitizers=address,undefined])

  SANITIZER_CFLAGS=
  SANITIZER_PRELOAD=
  AS_IF([test "x$enable_sanitizers" != xno], [
    SANITIZER_CFLAGS="-fsanitize=$enable_sanitizers -fno-sanitize-recover=all -fno-omit-frame-pointer"
    AC_MSG_CHECKING([whether programs built with $SANITIZER_CFLAGS run])
    vmdk_save_CFLAGS="$CFLAGS"
    CFLAGS="$CFLAGS $SANITIZER_CFLAGS"
    AC_RUN_IFELSE([AC_LANG_PROGRAM([], [])],
      [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       AC_MSG_ERROR([$CC and this system cannot do --enable-sanitizers=$enable_sanitizers])],
      [AC_MSG_RESULT([not checked])])
    CFLAGS="$vmdk_save_CFLAGS"

    AC_MSG_CHECKING([for the shared runtime of the sanitizers])
    AC_COMPILE_IFELSE(
      [AC_LANG_SOURCE([[
#ifndef __clang__
#error not clang
#endif
]])],
      [vmdk_clang=yes], [vmdk_clang=no])
    # clang's runtimes of address and thread hold that of undefined.
    AS_CASE([$vmdk_clang,$enable_sanitizers],
      [yes,*address*], [vmdk_runtimes=libclang_rt.asan-$host_cpu.so],
      [yes,*thread*], [vmdk_runtimes=libclang_rt.tsan-$host_cpu.so],
      [yes,*], [vmdk_runtimes=libclang_rt.ubsan_standalone-$host_cpu.so],
      [*address*], [vmdk_runtimes="libasan.so libubsan.so"],
      [*thread*], [vmdk_runtimes="libtsan.so libubsan.so"],
      [vmdk_runtimes=libubsan.so])
    for vmdk_runtime in $vmdk_runtimes; do
      vmdk_file=`$CC -print-file-name=$vmdk_runtime`
      AS_IF([test ! -f "$vmdk_file"],
        [AC_MSG_RESULT([no])
         AC_MSG_ERROR([$CC has no $vmdk_runtime])])
      SANITIZER_PRELOAD="$SANITIZER_PRELOAD${SANITIZER_PRELOAD:+:}$vmdk_file"
    done
    AC_MSG_RESULT([$SANITIZER_PRELOAD])
  ])
  AC_SUBST([SANITIZER_CFLAGS])
  AC_SUBST([SANITIZER_PRELOAD])
])
