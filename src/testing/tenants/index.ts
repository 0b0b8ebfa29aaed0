export { type FakeKeyMode, FakeKeyService, type FakeKeyServiceOptions } from "./fake-key-service.ts";
