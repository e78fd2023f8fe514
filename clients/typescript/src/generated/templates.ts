// Written by docs/make_typescript.py (`make docs`) from the templates in workflows/.

/** Content of a file: its bytes, or a URL, a data URI, base64, or the name of a file in `files` or `inputs`. */
export type FileValue = string | Blob | Uint8Array;

/** The parameters of the templates that the worker includes, by the name of the template. */
export interface TemplateParams {
  /** Flux dev, ControlAltAI. Text to image by aspect ratio and megapixels, with ControlAltAI's resolution and sampler nodes. */
  "flux-controlaltai": {
    /** content of the image */
    prompt?: string;
    /** aspect ratio of the image; default "1:1 (Perfect Square)" */
    aspect_ratio?: "1:1 (Perfect Square)" | "2:3 (Classic Portrait)" | "3:4 (Golden Ratio)" | "3:5 (Elegant Vertical)" | "4:5 (Artistic Frame)" | "5:7 (Balanced Portrait)" | "5:8 (Tall Portrait)" | "7:9 (Modern Portrait)" | "9:16 (Slim Vertical)" | "9:19 (Tall Slim)" | "9:21 (Ultra Tall)" | "9:32 (Skyline)" | "3:2 (Golden Landscape)" | "4:3 (Classic Landscape)" | "5:3 (Wide Horizon)" | "5:4 (Balanced Frame)" | "7:5 (Elegant Landscape)" | "8:5 (Cinematic View)" | "9:7 (Artful Horizon)" | "16:9 (Panorama)" | "19:9 (Cinematic Ultrawide)" | "21:9 (Epic Ultrawide)" | "32:9 (Extreme Ultrawide)";
    /** size of the image; default "1.0" */
    megapixels?: "0.1" | "0.2" | "0.3" | "0.4" | "0.5" | "0.6" | "0.7" | "0.8" | "0.9" | "1.0" | "1.1" | "1.2" | "1.3" | "1.4" | "1.5" | "1.6" | "1.7" | "1.8" | "1.9" | "2.0" | "2.1" | "2.2" | "2.3" | "2.4" | "2.5";
    /** sampling steps; 1 to 100; default 30 */
    steps?: number;
    /** how closely the model follows the prompt; 0.0 to 100.0; default 3.5 */
    guidance?: number;
    /** sampler; default "euler" */
    sampler?: "euler" | "heun" | "heunpp2" | "dpm_2" | "lms" | "dpm_adaptive" | "dpmpp_2s_ancestral" | "dpmpp_2m" | "ipndm" | "ipndm_v" | "deis" | "ddim" | "uni_pc" | "uni_pc_bh2";
    /** noise schedule; default "beta" */
    scheduler?: "simple" | "normal" | "sgm_uniform" | "ddim_uniform" | "beta";
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
    /** precision of the weights; fp8 needs half of the memory; default "default" */
    precision?: "default" | "fp8_e4m3fn" | "fp8_e4m3fn_fast" | "fp8_e5m2";
  };
  /** Flux dev. Text to image, slower than Flux schnell and with better quality. */
  "flux-dev": {
    /** content of the image */
    prompt?: string;
    /** pixels; 256 to 2048; default 1024 */
    width?: number;
    /** pixels; 256 to 2048; default 1024 */
    height?: number;
    /** sampling steps; 1 to 100; default 20 */
    steps?: number;
    /** how closely the model follows the prompt; 0.0 to 100.0; default 3.5 */
    guidance?: number;
    /** images per job; 1 to 8; default 1 */
    batch?: number;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
    /** precision of the weights; fp8 needs half of the memory; default "default" */
    precision?: "default" | "fp8_e4m3fn" | "fp8_e4m3fn_fast" | "fp8_e5m2";
  };
  /** Flux dev with LoRAs. Text to image with up to eight LoRAs, each with its own strength. */
  "flux-dev-lora": {
    /** content of the image */
    prompt?: string;
    /** LoRAs by their file names in ComfyUI, applied in this order; default [] */
    loras?: {
      /** file in models/loras */
      name: string;
      /** strength of the LoRA; 0 disables it; -4.0 to 4.0; default 1.0 */
      strength?: number;
    }[];
    /** pixels; 256 to 2048; default 1024 */
    width?: number;
    /** pixels; 256 to 2048; default 1024 */
    height?: number;
    /** sampling steps; 1 to 100; default 20 */
    steps?: number;
    /** how closely the model follows the prompt; 0.0 to 100.0; default 3.5 */
    guidance?: number;
    /** images per job; 1 to 8; default 1 */
    batch?: number;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
    /** precision of the weights; fp8 needs half of the memory; default "default" */
    precision?: "default" | "fp8_e4m3fn" | "fp8_e4m3fn_fast" | "fp8_e5m2";
  };
  /** Flux schnell. Text to image in four steps. */
  "flux-schnell": {
    /** content of the image */
    prompt?: string;
    /** pixels; 256 to 2048; default 1024 */
    width?: number;
    /** pixels; 256 to 2048; default 1024 */
    height?: number;
    /** sampling steps; 1 to 50; default 4 */
    steps?: number;
    /** images per job; 1 to 8; default 1 */
    batch?: number;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
    /** precision of the weights; fp8 needs half of the memory; default "default" */
    precision?: "default" | "fp8_e4m3fn" | "fp8_e4m3fn_fast" | "fp8_e5m2";
  };
  /** InstantID. Images of a person in any style, from one photo of the face. Uses SDXL. */
  "instantid": {
    /** photo of the face */
    image: FileValue;
    /** content of the image */
    prompt?: string;
    /** content that the image should not show */
    negative_prompt?: string;
    /** pixels; 256 to 2048; default 1016 */
    width?: number;
    /** pixels; 256 to 2048; default 1016 */
    height?: number;
    /** how closely the image follows the face; 0.0 to 3.0; default 0.8 */
    weight?: number;
    /** sampling steps; 1 to 100; default 30 */
    steps?: number;
    /** how closely the model follows the prompt; 1.0 to 30.0; default 4.5 */
    cfg?: number;
    /** images per job; 1 to 8; default 1 */
    batch?: number;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
    /** another checkpoint of the same model family, by its file name in ComfyUI; default "sd_xl_base_1.0.safetensors" */
    checkpoint?: string;
    /** device that runs the face analysis; default "CUDA" */
    provider?: "CUDA" | "CPU";
  };
  /** Qwen-Image-2512. Text to image with legible text in the image. Same settings as ComfyUI's own template. */
  "qwen-image-2512": {
    /** content of the image */
    prompt?: string;
    /** content that the image should not show */
    negative_prompt?: string;
    /** pixels; 256 to 2048; default 1328 */
    width?: number;
    /** pixels; 256 to 2048; default 1328 */
    height?: number;
    /** sampling steps; 1 to 100; default 50 */
    steps?: number;
    /** how closely the model follows the prompt; 1.0 to 30.0; default 4.0 */
    cfg?: number;
    /** use four steps with the Lightning LoRA; ignores `steps` and `cfg`; default false */
    fast?: boolean;
    /** images per job; 1 to 8; default 1 */
    batch?: number;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
  };
  /** Qwen-Image-Edit 2511. Edits an image according to an instruction, with up to two more images as reference. */
  "qwen-image-edit": {
    /** the image to edit */
    image: FileValue;
    /** instruction for the change; default "make it a watercolour on rough paper" */
    prompt?: string;
    /** another image; the prompt refers to it as `image 2` */
    image2?: FileValue;
    /** another image; the prompt refers to it as `image 3` */
    image3?: FileValue;
    /** content that the image should not show; default "" */
    negative_prompt?: string;
    /** sampling steps; 1 to 100; default 40 */
    steps?: number;
    /** how closely the model follows the prompt; 1.0 to 30.0; default 4.0 */
    cfg?: number;
    /** use four steps with the Lightning LoRA; ignores `steps` and `cfg`; default false */
    fast?: boolean;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
  };
  /** Resize. Scales an image to a size, without a model. */
  "resize": {
    /** the image to scale */
    image: FileValue;
    /** pixels; 0 keeps the aspect ratio; 0 to 8192; default 1024 */
    width?: number;
    /** pixels; 0 keeps the aspect ratio; 0 to 8192; default 1024 */
    height?: number;
    /** crop to the aspect ratio, or stretch; default "center" */
    crop?: "center" | "disabled";
    /** interpolation method; default "lanczos" */
    method?: "lanczos" | "bicubic" | "bilinear" | "area" | "nearest-exact";
  };
  /** Stable Diffusion 1.5. Text to image with a small, fast model. Vast's stock modifier Text2Image runs it. */
  "sd15": {
    /** content of the image */
    prompt?: string;
    /** content that the image should not show; default "blurry, low quality, text, watermark" */
    negative_prompt?: string;
    /** pixels; 64 to 2048; default 512 */
    width?: number;
    /** pixels; 64 to 2048; default 512 */
    height?: number;
    /** sampling steps; 1 to 100; default 20 */
    steps?: number;
    /** how closely the model follows the prompt; 1.0 to 30.0; default 8.0 */
    cfg?: number;
    /** sampler; default "euler" */
    sampler?: "euler" | "euler_ancestral" | "heun" | "dpm_2" | "dpmpp_2m" | "dpmpp_2m_sde" | "dpmpp_sde" | "dpmpp_3m_sde" | "ddim" | "uni_pc" | "lcm" | "res_multistep";
    /** noise schedule; default "normal" */
    scheduler?: "normal" | "karras" | "exponential" | "sgm_uniform" | "simple" | "ddim_uniform" | "beta";
    /** strength of the change; 1 starts from pure noise; 0.0 to 1.0; default 1.0 */
    denoise?: number;
    /** images per job; 1 to 8; default 1 */
    batch?: number;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
    /** another checkpoint of the same model family, by its file name in ComfyUI; default "v1-5-pruned-emaonly-fp16.safetensors" */
    checkpoint?: string;
  };
  /** Stable Diffusion 1.5, image to image. Redraws an image according to a prompt. Vast's stock modifier Image2Image runs it. */
  "sd15-image-to-image": {
    /** the input image */
    image: FileValue;
    /** content of the image */
    prompt?: string;
    /** content that the image should not show; default "blurry, low quality, text, watermark" */
    negative_prompt?: string;
    /** sampling steps; 1 to 100; default 20 */
    steps?: number;
    /** how closely the model follows the prompt; 1.0 to 30.0; default 8.0 */
    cfg?: number;
    /** sampler; default "dpmpp_2m" */
    sampler?: "euler" | "euler_ancestral" | "heun" | "dpm_2" | "dpmpp_2m" | "dpmpp_2m_sde" | "dpmpp_sde" | "dpmpp_3m_sde" | "ddim" | "uni_pc" | "lcm" | "res_multistep";
    /** noise schedule; default "normal" */
    scheduler?: "normal" | "karras" | "exponential" | "sgm_uniform" | "simple" | "ddim_uniform" | "beta";
    /** strength of the change: 0 keeps the image, 1 replaces it; 0.0 to 1.0; default 0.87 */
    denoise?: number;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
    /** another checkpoint of the same model family, by its file name in ComfyUI; default "v1-5-pruned-emaonly-fp16.safetensors" */
    checkpoint?: string;
  };
  /** Stable Diffusion 1.5, RES4LYF. Text to image with RES4LYF's sampler on rescaled sigmas. */
  "sd15-res4lyf": {
    /** content of the image */
    prompt?: string;
    /** content that the image should not show; default "blurry, low quality, text, watermark" */
    negative_prompt?: string;
    /** pixels; 64 to 2048; default 512 */
    width?: number;
    /** pixels; 64 to 2048; default 512 */
    height?: number;
    /** sampling steps; 1 to 100; default 20 */
    steps?: number;
    /** how closely the model follows the prompt; 1.0 to 30.0; default 5.5 */
    cfg?: number;
    /** noise that the sampler adds in each step; 0.0 to 1.0; default 0.5 */
    eta?: number;
    /** first sigma after rescaling; the model's own value is about 14.6; 0.1 to 50.0; default 14.0 */
    rescale_start?: number;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
    /** another checkpoint of the same model family, by its file name in ComfyUI; default "v1-5-pruned-emaonly-fp16.safetensors" */
    checkpoint?: string;
  };
  /** SDXL. Text to image with the SDXL base model. */
  "sdxl": {
    /** content of the image */
    prompt?: string;
    /** content that the image should not show; default "blurry, low quality, text, watermark" */
    negative_prompt?: string;
    /** pixels; 256 to 2048; default 1024 */
    width?: number;
    /** pixels; 256 to 2048; default 1024 */
    height?: number;
    /** sampling steps; 1 to 100; default 25 */
    steps?: number;
    /** how closely the model follows the prompt; 1.0 to 30.0; default 8.0 */
    cfg?: number;
    /** sampler; default "euler" */
    sampler?: "euler" | "euler_ancestral" | "heun" | "dpm_2" | "dpmpp_2m" | "dpmpp_2m_sde" | "dpmpp_sde" | "dpmpp_3m_sde" | "ddim" | "uni_pc" | "lcm" | "res_multistep";
    /** noise schedule; default "normal" */
    scheduler?: "normal" | "karras" | "exponential" | "sgm_uniform" | "simple" | "ddim_uniform" | "beta";
    /** images per job; 1 to 8; default 1 */
    batch?: number;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
    /** another checkpoint of the same model family, by its file name in ComfyUI; default "sd_xl_base_1.0.safetensors" */
    checkpoint?: string;
  };
  /** SeedVR2 upscaling. Upscales an image and restores details, in one step. Uses only ComfyUI's own nodes. */
  "seedvr2-upscale": {
    /** the image to upscale */
    image: FileValue;
    /** factor for width and height; 1.0 to 8.0; default 2.0 */
    scale?: number;
    /** method that preserves the colors of the original; default "lab" */
    color_correction?: "lab" | "wavelet" | "adain" | "none";
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
  };
  /** SeedVR2 upscaling of videos. Upscales a video and restores details, in parts that fit into memory. Uses only ComfyUI's own nodes. */
  "seedvr2-upscale-video": {
    /** the video to upscale */
    video: FileValue;
    /** factor for width and height; 1.0 to 8.0; default 2.0 */
    scale?: number;
    /** method that preserves the colors of the original; default "none" */
    color_correction?: "lab" | "wavelet" | "adain" | "none";
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
  };
  /** Smoke test. Scales and inverts a plain image. Needs no model; use it to test a worker. */
  "smoke-resize": {
    /** pixels; 16 to 4096; default 768 */
    width?: number;
    /** pixels; 16 to 4096; default 512 */
    height?: number;
    /** color of the image, 0xRRGGBB as a number; 0 to 16777215; default 2976415 */
    color?: number;
    /** interpolation method; default "lanczos" */
    method?: "lanczos" | "bicubic" | "bilinear" | "area" | "nearest-exact";
  };
  /** Upscale with a model. Upscales an image with Real-ESRGAN by a factor of four, or with another model by its own factor. */
  "upscale": {
    /** the image to upscale */
    image: FileValue;
    /** another upscale model, by its file name in ComfyUI; default "RealESRGAN_x4plus.safetensors" */
    model?: string;
  };
  /** Wan 2.2, image to video. Image to video with the two 14B models. Same settings as ComfyUI's own template. */
  "wan22-i2v": {
    /** the first frame */
    image: FileValue;
    /** content of the video */
    prompt?: string;
    /** content that the video should not show */
    negative_prompt?: string;
    /** pixels; 16 to 1280; default 640 */
    width?: number;
    /** pixels; 16 to 1280; default 640 */
    height?: number;
    /** length of the video, at 16 frames per second; 0.25 to 10.0; default 5.0 */
    seconds?: number;
    /** sampling steps; each of the two models runs half of them; 2 to 100; default 20 */
    steps?: number;
    /** how closely the model follows the prompt; 1.0 to 30.0; default 3.5 */
    cfg?: number;
    /** use four steps with the Lightning LoRAs; ignores `steps` and `cfg`; default false */
    fast?: boolean;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
  };
  /** Wan 2.2, text to video. Text to video of a few seconds, with the two 14B models. Same settings as ComfyUI's own template. */
  "wan22-t2v": {
    /** content of the video */
    prompt?: string;
    /** content that the video should not show */
    negative_prompt?: string;
    /** pixels; 16 to 1280; default 640 */
    width?: number;
    /** pixels; 16 to 1280; default 640 */
    height?: number;
    /** length of the video, at 16 frames per second; 0.25 to 10.0; default 5.0 */
    seconds?: number;
    /** sampling steps; each of the two models runs half of them; 2 to 100; default 20 */
    steps?: number;
    /** how closely the model follows the prompt; 1.0 to 30.0; default 3.5 */
    cfg?: number;
    /** use four steps with the Lightning LoRAs; ignores `steps` and `cfg`; default false */
    fast?: boolean;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
  };
  /** Z-Image-Turbo. Text to image in eight steps. Same settings as ComfyUI's own template. */
  "z-image-turbo": {
    /** content of the image */
    prompt?: string;
    /** pixels; 256 to 2048; default 1024 */
    width?: number;
    /** pixels; 256 to 2048; default 1024 */
    height?: number;
    /** sampling steps; 1 to 50; default 8 */
    steps?: number;
    /** a higher value means more steps at high noise; 0.0 to 100.0; default 3.0 */
    shift?: number;
    /** images per job; 1 to 8; default 1 */
    batch?: number;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
  };
  /** Z-Image-Turbo, RES4LYF. Text to image with RES4LYF's sampler on rescaled sigmas, with the settings known as `Denrisi`. */
  "z-image-turbo-res4lyf": {
    /** content of the image */
    prompt?: string;
    /** pixels; 256 to 2048; default 1024 */
    width?: number;
    /** pixels; 256 to 2048; default 1024 */
    height?: number;
    /** sampling steps; 1 to 50; default 8 */
    steps?: number;
    /** sampler of RES4LYF; 2s, 3s, ... in a name means two, three, ... times the duration; default "multistep/res_2m" */
    sampler?: "multistep/res_2m" | "multistep/res_3m" | "multistep/dpmpp_2m" | "multistep/dpmpp_3m" | "multistep/deis_2m" | "multistep/deis_3m" | "exponential/res_2s" | "exponential/res_3s" | "exponential/res_5s";
    /** noise schedule; default "beta57" */
    scheduler?: "beta57" | "bong_tangent" | "simple" | "normal" | "sgm_uniform" | "karras" | "exponential" | "ddim_uniform" | "beta" | "linear_quadratic" | "kl_optimal";
    /** noise that the sampler adds in each step; 0.0 to 1.0; default 0.5 */
    eta?: number;
    /** correct the whole trajectory in each step (RES4LYF); default true */
    bongmath?: boolean;
    /** first sigma after rescaling; a value below 1 gives a calmer image with less noise; 0.01 to 10.0; default 1.0 */
    rescale_start?: number;
    /** last sigma after rescaling; a value above 0 leaves some grain; 0.0 to 1.0; default 0.0 */
    rescale_end?: number;
    /** a higher value means more steps at high noise; 0.0 to 100.0; default 3.0 */
    shift?: number;
    /** images per job; 1 to 8; default 1 */
    batch?: number;
    /** the same seed gives the same result; without a value the seed is random; -1 to 9007199254740991 */
    seed?: number;
  };
}
