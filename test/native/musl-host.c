// A program of musl's that stands for a Node of musl's, of which there is none at hand: it exports what Node would, loads the file that it is
// given with every symbol bound at once, and looks for the entry of Node-API. Nothing of the file is called.
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **arguments) {
  void *library = count == 2 ? dlopen(arguments[1], RTLD_NOW) : NULL;
  if (library == NULL) {
    fprintf(stderr, "%s\n", count == 2 ? dlerror() : "which file?");
    return 1;
  }
  puts(dlsym(library, "napi_register_module_v1") == NULL ? "no entry" : "loaded");
  return 0;
}
