#!/bin/sh
# Measures and checks Hyaline on this machine's GPU: fingerprint, digests, kernels, benchmark. Needs Linux on x86-64 with glibc 2.34 or
# newer, tar and gzip, and a Vulkan driver; no network, no installation.
#
#   ./run.sh [--quick] [FOLDER]    results go to FOLDER, by default ./results
#
# A driver that VK_ICD_FILENAMES or VK_DRIVER_FILES names is taken as it is, be it software. Otherwise this looks for hardware.
# Exit code: 0 if everything passed, 1 if something failed (the rest is done), 2 if nothing could run.

set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 2
quick=
results=results
for argument; do
  case $argument in
    --quick) quick=--quick ;;
    -*) echo "usage: $0 [--quick] [FOLDER]" >&2; exit 2 ;;
    *) results=$argument ;;
  esac
done
mkdir -p "$results" && results=$(CDPATH='' cd -- "$results" && pwd) || exit 2
log=$results/log.txt
: > "$log" || exit 2
say() { echo "$*" | tee -a "$log"; }
give_up() { say "run.sh: $*"; exit 2; }

# --- the runtime: Node, Dawn, a Vulkan loader

[ "$(uname -s) $(uname -m)" = 'Linux x86_64' ] || give_up "this is $(uname -s) on $(uname -m); the pack is for Linux on x86_64."
runtime=$here/runtime
node=$runtime/node
if [ ! -x "$node" ]; then
  (cd "$here" && gzip -dc runtime.tar.gz | tar -xf -) || give_up "runtime.tar.gz cannot be unpacked into $here."
fi
# Libraries of the compiler that the runtime was built with: taken where the machine has none, or older ones.
dawn=$here/node_modules/webgpu/dist/linux-x64/dawn.node
starts() { "$node" -e "require(process.argv[1])" "$dawn" >> "$log" 2>&1; }
if ! starts; then
  LD_LIBRARY_PATH=$runtime/compiler${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH
  starts || give_up "Node or Dawn does not start here (glibc 2.34 is needed); see $log."
fi

# --- Vulkan: the loader, then a driver

add_libraries() {
  case ":${LD_LIBRARY_PATH-}:" in *":$1:"*) return ;; esac
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$1
  export LD_LIBRARY_PATH
}
folders='/usr/lib/x86_64-linux-gnu /usr/lib64 /usr/lib /usr/local/nvidia/lib64 /usr/local/nvidia/lib /usr/lib/nvidia /run/opengl-driver/lib'
has_loader() { "$node" -e "try { process.dlopen({ exports: {} }, 'libvulkan.so.1') } catch (e) { process.exit(/self-register/.test(e.message) ? 0 : 1) }"; }
if ! has_loader; then
  [ -e "$runtime/loader/libvulkan.so.1" ] || give_up 'there is no Vulkan loader (libvulkan.so.1), and the pack has none.'
  add_libraries "$runtime/loader"
  say "run.sh: this machine has no Vulkan loader; using the pack's."
fi

# Runs with the driver that is set now. 0: hardware; 3: software; else nothing.
probe() {
  adapter=$(HYALINE_ADAPTER='' "$node" "$here/bench/probe.js" 2>> "$log")
  code=$?
  say "  ${VK_ICD_FILENAMES:-the loader's own choice}: $adapter"
  return $code
}

HYALINE_ADAPTER=hardware
if [ -n "${VK_ICD_FILENAMES-}${VK_DRIVER_FILES-}" ]; then
  VK_ICD_FILENAMES=${VK_ICD_FILENAMES:-$VK_DRIVER_FILES}
  VK_DRIVER_FILES=$VK_ICD_FILENAMES
  export VK_ICD_FILENAMES VK_DRIVER_FILES
  say 'run.sh: the driver is given:'
  probe
  case $? in
    0) ;;
    3) HYALINE_ADAPTER=; say 'run.sh: THIS IS A SOFTWARE ADAPTER: its times say nothing about a GPU.' ;;
    *) give_up 'the given driver gives no adapter.' ;;
  esac
else
  say 'run.sh: looking for a driver:'
  found=
  if probe; then found=yes; fi
  # Drivers that are installed where the loader does not look, then NVIDIA's libraries without their JSON file, as in containers.
  if [ -z "$found" ]; then
    for icd in /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json /usr/local/share/vulkan/icd.d/*.json \
      /usr/local/nvidia/share/vulkan/icd.d/*.json /run/opengl-driver/share/vulkan/icd.d/*.json; do
      case $icd in *lvp*|*swiftshader*|*'*'*) continue ;; esac
      for folder in $folders; do [ -e "$folder/libGLX_nvidia.so.0" ] && add_libraries "$folder"; done
      VK_ICD_FILENAMES=$icd; VK_DRIVER_FILES=$icd
      export VK_ICD_FILENAMES VK_DRIVER_FILES
      if probe; then found=yes; break; fi
    done
  fi
  if [ -z "$found" ]; then
    for library in libGLX_nvidia.so.0 libEGL_nvidia.so.0; do # the second needs no X11
      for folder in $folders; do
        [ -e "$folder/$library" ] || continue
        add_libraries "$folder"
        VK_ICD_FILENAMES=$results/nvidia_icd.json; VK_DRIVER_FILES=$VK_ICD_FILENAMES
        export VK_ICD_FILENAMES VK_DRIVER_FILES
        printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.3.0"}}\n' \
          "$folder/$library" > "$VK_ICD_FILENAMES"
        if probe; then found=yes; break 2; fi
      done
    done
  fi
  [ -n "$found" ] || give_up 'no GPU with a Vulkan driver was found (above is what was tried). Name a driver with VK_ICD_FILENAMES=/path/to/icd.json.'
fi
export HYALINE_ADAPTER

# --- what there is to do; each part on its own, so that one that fails leaves the others

failed=
part() {
  name=$1
  shift
  say
  say "== $name"
  { "$@" 2>&1; echo $? > "$results/code"; } | tee -a "$log"
  code=$(cat "$results/code")
  rm -f "$results/code"
  [ "$code" = 0 ] || { say "== $name: FAILED (exit code $code)"; failed="$failed $name"; }
}
doctor() {
  "$node" "$here/bin/hyaline.js" doctor --json > "$results/doctor.json"
  code=$?
  cat "$results/doctor.json"
  return $code
}

cp "$here/pack.json" "$results/pack.json"
part doctor doctor
part digests "$node" "$here/bench/digests.js" "$results"
part kernels "$node" "$here/bench/kernels.js" "$results" $quick
part benchmark "$node" "$here/bench/benchmark.js" "$results" $quick

say
if [ -n "$failed" ]; then say "failed:$failed; results in $results"; exit 1; fi
say "everything passed; results in $results"
